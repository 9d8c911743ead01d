"""Provider strings of AutoGen component JSON, each with the type that it stands for here.

The match is exact: a provider is looked up in these tables and never imported.
"""

from collections.abc import Mapping
from typing import Final, Literal

__all__ = ["KINDS", "MODELS", "UNSUPPORTED", "Kind", "type_of"]

Kind = Literal["team", "agent", "condition", "context", "workbench", "tool"]
"""What a component is."""

_AGENTCHAT: Final = "autogen_agentchat"
_CORE: Final = "autogen_core"
_EXT: Final = "autogen_ext"

KINDS: Final[Mapping[Kind, Mapping[str, str]]] = {
    "team": {
        f"{_AGENTCHAT}.teams.RoundRobinGroupChat": "round_robin_group_chat",
        f"{_AGENTCHAT}.teams.SelectorGroupChat": "selector_group_chat",
    },
    "agent": {
        f"{_AGENTCHAT}.agents.AssistantAgent": "assistant_agent",
        f"{_AGENTCHAT}.agents.UserProxyAgent": "user_proxy_agent",
    },
    "condition": {
        f"{_AGENTCHAT}.conditions.TextMentionTermination": "text_mention",
        f"{_AGENTCHAT}.conditions.MaxMessageTermination": "max_messages",
        f"{_AGENTCHAT}.conditions.StopMessageTermination": "stop_message",
        f"{_AGENTCHAT}.conditions.TokenUsageTermination": "token_usage",
        f"{_AGENTCHAT}.conditions.HandoffTermination": "handoff",
        f"{_AGENTCHAT}.conditions.TimeoutTermination": "timeout",
        f"{_AGENTCHAT}.conditions.ExternalTermination": "external",
        f"{_AGENTCHAT}.conditions.SourceMatchTermination": "source_match",
        f"{_AGENTCHAT}.conditions.TextMessageTermination": "text_message",
        f"{_AGENTCHAT}.conditions.FunctionCallTermination": "function_call",
        f"{_AGENTCHAT}.base.OrTerminationCondition": "or",
        f"{_AGENTCHAT}.base.AndTerminationCondition": "and",
    },
    "context": {
        f"{_CORE}.model_context.UnboundedChatCompletionContext": "unbounded",
        f"{_CORE}.model_context.BufferedChatCompletionContext": "buffered",
        f"{_CORE}.model_context.HeadAndTailChatCompletionContext": "head_and_tail",
        f"{_CORE}.model_context.TokenLimitedChatCompletionContext": "token_limited",
    },
    "workbench": {
        f"{_CORE}.tools.StaticWorkbench": "static",
        f"{_CORE}.tools.StaticStreamWorkbench": "static",
    },
    "tool": {f"{_CORE}.tools.FunctionTool": "function"},
}
"""Components that are converted, by kind."""

MODELS: Final = frozenset(
    {
        f"{_EXT}.models.openai.OpenAIChatCompletionClient",
        f"{_EXT}.models.openai.AzureOpenAIChatCompletionClient",
        f"{_EXT}.models.anthropic.AnthropicChatCompletionClient",
        f"{_EXT}.models.anthropic.AnthropicBedrockChatCompletionClient",
        f"{_EXT}.models.azure.AzureAIChatCompletionClient",
        f"{_EXT}.models.ollama.OllamaChatCompletionClient",
        "openai_chat_completion_client",
        "OpenAIChatCompletionClient",
        "azure_openai_chat_completion_client",
        "AzureOpenAIChatCompletionClient",
        "OllamaChatCompletionClient",
    }
)
"""Model clients: each is replaced by the operator's profile for the same model."""

UNSUPPORTED: Final[Mapping[str, str]] = {
    f"{_AGENTCHAT}.teams.Swarm": "a SelectorGroupChat with a 'model_client'",
    f"{_AGENTCHAT}.teams.GraphFlow": "a RoundRobinGroupChat without 'graph'",
    f"{_AGENTCHAT}.teams.MagenticOneGroupChat": (
        "a SelectorGroupChat without 'max_stalls' and 'final_answer_prompt'"
    ),
    f"{_AGENTCHAT}.agents.CodeExecutorAgent": "an assistant_agent with a registered tool",
    f"{_AGENTCHAT}.agents.SocietyOfMindAgent": "the inner team as a participant",
    f"{_AGENTCHAT}.agents.MessageFilterAgent": "the inner agent with a 'model_context'",
    f"{_AGENTCHAT}.tools.AgentTool": "the inner agent as a participant",
    f"{_AGENTCHAT}.tools.TeamTool": "the inner team as a participant",
    f"{_EXT}.agents.web_surfer.MultimodalWebSurfer": "an assistant_agent with a registered tool",
    f"{_EXT}.agents.file_surfer.FileSurfer": "an assistant_agent with a registered tool",
    f"{_EXT}.tools.http.HttpTool": "the name of a registered tool",
    f"{_EXT}.tools.mcp.McpWorkbench": "the names of registered tools",
    f"{_EXT}.tools.mcp.StdioMcpToolAdapter": "the name of a registered tool",
    f"{_EXT}.tools.mcp.SseMcpToolAdapter": "the name of a registered tool",
    f"{_EXT}.tools.mcp.StreamableHttpMcpToolAdapter": "the name of a registered tool",
    f"{_EXT}.tools.code_execution.PythonCodeExecutionTool": "the name of a registered tool",
    f"{_EXT}.models.replay.ReplayChatCompletionClient": "the name of a scripted model profile",
    f"{_EXT}.models.cache.ChatCompletionCache": "the name of a model profile",
}
"""Components that AutoGen has and that are not converted, each with what to write instead."""


def type_of(provider: str, kind: Kind) -> str | None:
    """The type that a provider stands for, or None where it is not of that kind."""
    return KINDS[kind].get(provider)
