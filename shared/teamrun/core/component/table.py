"""The table of components: one row for each class that can be written as AutoGen's component JSON.

A row is used in both directions, in programs (`dump_component`, `load_component`) and by the
reader of definitions (`teamrun.components.autogen`). It names its class as `module:class`, which
is imported at first use. A provider string in data is looked up here and never imported.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final, Literal, NamedTuple

__all__ = [
    "BY_PROVIDER",
    "COMPONENTS",
    "Field",
    "Row",
    "inherited_row",
    "kind_of",
    "load",
    "provider_of",
    "version_of",
]


class Field(NamedTuple):
    """A field of a configuration; the constructor has a parameter of the same name."""

    attribute: str = ""
    """The attribute with its value, if it is not `_` and the name."""
    holds: Literal["data", "part", "parts", "object"] = "data"
    """JSON data, a component, a list of components, or an object of the type `shape`."""
    shape: str = ""
    """Of data: the pydantic type of the value, or of each item of a list or mapping."""
    is_null_written: bool = False
    """Whether None is written as null; otherwise it is left out. AutoGen needs some of them."""
    is_ours: bool = False
    """Whether AutoGen has no such field. It is written only if it is set, and AutoGen ignores it.
    """


class Row(NamedTuple):
    """One class."""

    cls: str
    """`module:class`, the module in which it is defined."""
    type: str
    """The kind of the component."""
    provider: str
    """The name that is written."""
    fields: Mapping[str, Field] = {}
    version: int = 1
    """The version that is written, and the highest one that is read."""
    also: tuple[str, ...] = ()
    """Other names that are read."""
    inexpressible: Mapping[str, str] = {}
    """Attributes that are written nowhere, each with its argument: if one is set, the object cannot
    be written."""
    write: str = ""
    """A function that takes the object and returns values in place of those of its attributes."""
    make: str = ""
    """A function that takes the class and the arguments, in place of the class itself."""

    @property
    def providers(self) -> tuple[str, ...]:
        """All names that are read."""
        return (self.provider, *self.also)


_PLAIN: Final = Field()
_PART: Final = Field(holds="part")
_PARTS: Final = Field(holds="parts")

_TEAM: Final = {
    "name": _PLAIN,
    "description": _PLAIN,
    "participants": Field("participants", holds="parts"),
    "termination_condition": Field("termination_condition", holds="part"),
    "max_turns": Field("max_turns"),
    "emit_team_events": _PLAIN,
}
_NO_TYPES: Final = {"unannounced_message_types": "custom_message_types"}
_INITIAL: Final = {"initial_messages": Field(shape="teamrun.messages.llm:LLMMessage")}
_SIZED: Final = {"max_total_token", "max_prompt_token", "max_completion_token"}
_TOOLS: Final = {
    "tools": _PARTS,
    "tool_overrides": Field(shape="teamrun.tools.workbench:ToolOverride"),
}
_CHAT: Final = (
    *("model", "api_key", "timeout", "max_retries", "model_info", "add_name_prefixes"),
    *("include_name_in_message", "default_headers", "frequency_penalty", "logit_bias"),
    *("max_tokens", "n", "presence_penalty", "response_format", "seed", "stop", "temperature"),
    *("top_p", "user", "stream_options", "parallel_tool_calls", "reasoning_effort"),
)
_CHAT_OURS: Final = (
    *("include_usage", "max_completion_tokens", "logprobs", "top_logprobs", "verbosity"),
    *("service_tier", "store", "metadata", "safety_identifier", "prompt_cache_key", "extra_body"),
)
_BEDROCK: Final = (
    *("model", "region", "profile", "base_url", "base_model", "model_info", "timeout"),
    *("max_retries", "add_name_prefixes", "prompt_caching", "guardrail_id", "guardrail_version"),
    *("guardrail_trace", "temperature", "max_tokens", "top_p", "stop", "reasoning_effort"),
    *("latency", "service_tier", "request_metadata", "additional_model_request_fields"),
)
_ANTHROPIC: Final = (
    *("model", "api_key", "base_url", "timeout", "max_retries", "model_info", "default_headers"),
    *("max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "thinking"),
    "response_format",
)
_ANTHROPIC_OURS: Final = (
    *("add_name_prefixes", "prompt_caching", "cache_ttl", "reasoning_effort"),
    *("parallel_tool_calls", "service_tier", "extra_body"),
)
_OLLAMA: Final = (
    *("api_key", "max_retries", "add_name_prefixes", "temperature", "max_tokens", "top_p", "top_k"),
    *("seed", "stop", "num_ctx", "frequency_penalty", "presence_penalty", "options", "think"),
    "keep_alive",
)
_CLIENTS: Final = "teamrun.models.component"


def _of(*names: str, **field: Any) -> dict[str, Field]:
    return dict.fromkeys(names, Field(**field))


def _condition(module: str, name: str, package: str = "conditions", **rest: Any) -> Row:
    provider = f"autogen_agentchat.{package}.{name}"
    return Row(f"teamrun.conditions.{module}:{name}", "termination", provider, **rest)


def _context(module: str, name: str, fields: Mapping[str, Field]) -> Row:
    return Row(
        f"teamrun.context.{module}:{name}",
        "chat_completion_context",
        f"autogen_core.model_context.{name}",
        {**fields, **_INITIAL},
    )


def _staged(module: str, name: str, *fields: str) -> Row:
    return Row(
        f"teamrun.teams.{module}:{name}",
        "team",
        f"teamrun.teams.{name}",
        {**_TEAM, **_of(*fields)},
        inexpressible=_NO_TYPES,
    )


def _combined(name: str) -> Row:
    return _condition(
        "base",
        name,
        "base",
        fields={"conditions": Field("conditions", holds="parts")},
        make="teamrun.core.component.loading:combined",
    )


_ROWS: Final = (
    Row(
        "teamrun.agents.assistant:AssistantAgent",
        "agent",
        "autogen_agentchat.agents.AssistantAgent",
        {
            "name": _PLAIN,
            "model_client": _PART,
            "tools": _PARTS,
            "workbench": _PARTS,
            "handoffs": Field(shape="teamrun.agents.handoff:Handoff"),
            "model_context": _PART,
            "memory": _PARTS,
            "description": _PLAIN,
            "system_message": _PLAIN,
            "model_client_stream": _PLAIN,
            "reflect_on_tool_use": Field("_reflect"),
            "tool_call_summary_format": Field("_summary_template"),
            "max_tool_iterations": _PLAIN,
            "metadata": _PLAIN,
            "structured_message_factory": _PLAIN,
            "tool_choice": Field(is_ours=True),
            "output_repairs": _PLAIN,
        },
        version=2,
        inexpressible={"_summary_formatter": "tool_call_summary_formatter"},
        write="teamrun.agents.component:write_assistant",
        make="teamrun.agents.component:make_assistant",
    ),
    Row(
        "teamrun.agents.user_proxy:UserProxyAgent",
        "agent",
        "autogen_agentchat.agents.UserProxyAgent",
        _of("name", "description", "input_func"),
        write="teamrun.agents.component:write_user_proxy",
        make="teamrun.agents.component:make_user_proxy",
    ),
    Row(
        "teamrun.agents.society_of_mind:SocietyOfMindAgent",
        "agent",
        "autogen_agentchat.agents.SocietyOfMindAgent",
        {
            **_of("name", "description", "instruction", "response_prompt"),
            **_of("team", "model_client", "model_context", holds="part"),
        },
    ),
    Row(
        "teamrun.agents.message_filter:MessageFilterAgent",
        "agent",
        "autogen_agentchat.agents.MessageFilterAgent",
        {
            "name": _PLAIN,
            "wrapped_agent": _PART,
            "filter": Field(
                holds="object", shape="teamrun.agents.message_filter:MessageFilterConfig"
            ),
        },
    ),
    Row(
        "teamrun.agents.code_executor:CodeExecutorAgent",
        "agent",
        "autogen_agentchat.agents.CodeExecutorAgent",
        {
            **_of("name", "description", "sources", "system_message", "model_client_stream"),
            **_of("code_executor", "model_client", "model_context", holds="part"),
            "supported_languages": _PLAIN,
            "max_retries_on_error": Field(is_ours=True),
        },
        inexpressible={"_approval_func": "approval_func"},
        write="teamrun.agents.component:write_code_executor",
        make="teamrun.agents.component:make_code_executor",
    ),
    Row(
        "teamrun.code.local:LocalCommandLineCodeExecutor",
        "code_executor",
        "autogen_ext.code_executors.local.LocalCommandLineCodeExecutor",
        {
            **_of("timeout", "cleanup_temp_files", "functions_module"),
            "work_dir": _PLAIN,
        },
        inexpressible={"_virtual_env_context": "virtual_env_context"},
        write="teamrun.code.component:write_local",
        make="teamrun.code.component:make_local",
    ),
    Row(
        "teamrun.teams.round_robin:RoundRobinGroupChat",
        "team",
        "autogen_agentchat.teams.RoundRobinGroupChat",
        _TEAM,
        inexpressible=_NO_TYPES,
    ),
    Row(
        "teamrun.teams.swarm:Swarm",
        "team",
        "autogen_agentchat.teams.Swarm",
        _TEAM,
        inexpressible=_NO_TYPES,
    ),
    Row(
        "teamrun.teams.graph_flow:GraphFlow",
        "team",
        "autogen_agentchat.teams.GraphFlow",
        {**_TEAM, "graph": Field(holds="object", shape="teamrun.teams.digraph:DiGraph")},
        inexpressible=_NO_TYPES,
    ),
    Row(
        "teamrun.teams.magentic_one:MagenticOneGroupChat",
        "team",
        "autogen_agentchat.teams.MagenticOneGroupChat",
        {**_TEAM, "model_client": _PART, **_of("max_stalls", "final_answer_prompt")},
        inexpressible=_NO_TYPES,
        make="teamrun.core.component.loading:unlimited",
    ),
    Row(
        "teamrun.teams.selector:SelectorGroupChat",
        "team",
        "autogen_agentchat.teams.SelectorGroupChat",
        {
            **_TEAM,
            "model_client": _PART,
            **_of("selector_prompt", "allow_repeated_speaker", "max_selector_attempts"),
            "model_client_streaming": _PLAIN,
            "model_context": _PART,
        },
        inexpressible={
            **_NO_TYPES,
            "_selector_func": "selector_func",
            "_candidate_func": "candidate_func",
        },
    ),
    _staged("sequential", "SequentialGroupChat"),
    _staged("concurrent", "ConcurrentGroupChat", "synthesizer", "final_prompt"),
    _staged("hierarchical", "HierarchicalGroupChat", "manager", "rounds", "final_prompt"),
    _staged("debate", "DebateGroupChat", "judge", "rounds", "final_prompt"),
    _staged("competitive", "CompetitiveGroupChat", "judge", "enough", "final_prompt"),
    _condition(
        "text",
        "TextMentionTermination",
        fields={"text": _PLAIN, **_of("sources", "ignore_case", is_ours=True)},
    ),
    _condition(
        "counts", "MaxMessageTermination", fields=_of("max_messages", "include_agent_event")
    ),
    _condition("text", "StopMessageTermination"),
    _condition(
        "counts", "TokenUsageTermination", fields=_of(*sorted(_SIZED), is_null_written=True)
    ),
    _condition("events", "HandoffTermination", fields=_of("target")),
    _condition("counts", "TimeoutTermination", fields=_of("timeout_seconds")),
    _condition("outside", "ExternalTermination"),
    _condition("text", "SourceMatchTermination", fields=_of("sources")),
    _condition("text", "TextMessageTermination", fields=_of("source")),
    _condition("events", "FunctionCallTermination", fields=_of("function_name")),
    _combined("OrTerminationCondition"),
    _combined("AndTerminationCondition"),
    _context("unbounded", "UnboundedChatCompletionContext", {}),
    _context("buffered", "BufferedChatCompletionContext", _of("buffer_size")),
    _context("head_and_tail", "HeadAndTailChatCompletionContext", _of("head_size", "tail_size")),
    _context(
        "token_limited",
        "TokenLimitedChatCompletionContext",
        {"model_client": _PART, **_of("token_limit", "tool_schema")},
    ),
    Row(
        "teamrun.memory.list:ListMemory",
        "memory",
        "autogen_core.memory.ListMemory",
        {
            "name": _PLAIN,
            "memory_contents": Field("content", shape="teamrun.messages.content:MemoryContent"),
        },
    ),
    Row(
        "teamrun.tools.function:FunctionTool",
        "tool",
        "autogen_core.tools.FunctionTool",
        {
            **_of("source_code", "has_cancellation_support"),
            **{name: Field(name) for name in ("name", "description")},
            "global_imports": Field(shape="teamrun.tools.imports:Import"),
            "strict": Field(is_ours=True),
        },
        inexpressible={"needs_approval": "needs_approval"},
        write="teamrun.tools.component:write_function",
        make="teamrun.tools.component:refuse_source",
    ),
    Row(
        "teamrun.tools.agent_tool:AgentTool",
        "tool",
        "autogen_agentchat.tools.AgentTool",
        {
            "agent": Field("task_runner", holds="part"),
            "return_value_as_last_message": Field("_last_only"),
        },
        inexpressible={"needs_approval": "needs_approval"},
    ),
    Row(
        "teamrun.tools.agent_tool:TeamTool",
        "tool",
        "autogen_agentchat.tools.TeamTool",
        {
            **{name: Field(name) for name in ("name", "description")},
            "team": Field("task_runner", holds="part"),
            "return_value_as_last_message": Field("_last_only"),
        },
        inexpressible={"needs_approval": "needs_approval"},
    ),
    Row(
        "teamrun.tools.workbench:StaticWorkbench",
        "workbench",
        "autogen_core.tools.StaticWorkbench",
        _TOOLS,
    ),
    Row(
        "teamrun.tools.workbench:StaticStreamWorkbench",
        "workbench",
        "autogen_core.tools.StaticStreamWorkbench",
        _TOOLS,
    ),
    Row(
        "teamrun.models.openai.client:OpenAIChatCompletionClient",
        "model",
        "autogen_ext.models.openai.OpenAIChatCompletionClient",
        {
            **_of(*_CHAT, "organization", "base_url"),
            **_of(*_CHAT_OURS, "preset", is_ours=True),
        },
        also=("openai_chat_completion_client", "OpenAIChatCompletionClient"),
        write=f"{_CLIENTS}:write_client",
        make=f"{_CLIENTS}:make_openai",
    ),
    Row(
        "teamrun.models.openai.azure:AzureOpenAIChatCompletionClient",
        "model",
        "autogen_ext.models.openai.AzureOpenAIChatCompletionClient",
        {
            **_of(*_CHAT, "azure_endpoint", "azure_deployment", "api_version", "azure_ad_token"),
            "azure_ad_token_provider": _PLAIN,
            **_of(*_CHAT_OURS, is_ours=True),
        },
        also=(
            "autogen_ext.models.azure.AzureOpenAIChatCompletionClient",
            "azure_openai_chat_completion_client",
            "AzureOpenAIChatCompletionClient",
        ),
        write=f"{_CLIENTS}:write_client",
        make=f"{_CLIENTS}:make_azure",
    ),
    Row(
        "teamrun.models.anthropic.client:AnthropicChatCompletionClient",
        "model",
        "autogen_ext.models.anthropic.AnthropicChatCompletionClient",
        {**_of(*_ANTHROPIC), **_of(*_ANTHROPIC_OURS, is_ours=True)},
        also=("AnthropicChatCompletionClient",),
        write=f"{_CLIENTS}:write_anthropic",
        make=f"{_CLIENTS}:make_anthropic",
    ),
    Row(
        "teamrun.models.bedrock.client:BedrockChatCompletionClient",
        "model",
        "teamrun.models.BedrockChatCompletionClient",
        _of(*_BEDROCK, "bedrock_info", "stop_sequences"),  # the last two are AutoGen's
        also=(
            "autogen_ext.models.bedrock.BedrockChatCompletionClient",
            "autogen_ext.models.anthropic.AnthropicBedrockChatCompletionClient",
        ),
        write=f"{_CLIENTS}:write_client",
        make=f"{_CLIENTS}:make_bedrock",
    ),
    Row(
        "teamrun.models.ollama.client:OllamaChatCompletionClient",
        "model",
        "autogen_ext.models.ollama.OllamaChatCompletionClient",
        {
            **_of("model", "host", "response_format", "follow_redirects", "timeout", "headers"),
            "model_info": _PLAIN,
            **_of(*_OLLAMA, is_ours=True),
        },
        also=("OllamaChatCompletionClient",),
        write=f"{_CLIENTS}:write_client",
        make=f"{_CLIENTS}:make_ollama",
    ),
    Row(
        "teamrun.testing.scripted:ScriptedModel",
        "replay_chat_completion_client",
        "autogen_ext.models.replay.ReplayChatCompletionClient",
        _of("chat_completions", "model_info"),
        write="teamrun.testing.component:write_scripted",
        make="teamrun.testing.component:make_scripted",
    ),
)

COMPONENTS: Final[Mapping[str, Row]] = {row.cls.partition(":")[2]: row for row in _ROWS}
"""The rows by the names of their classes."""

BY_PROVIDER: Final[Mapping[str, Row]] = {name: row for row in _ROWS for name in row.providers}
"""The rows by all names in data."""

_BY_CLASS: Final[Mapping[str, Row]] = {row.cls: row for row in _ROWS}

_SEAMS: Final[Mapping[str, str]] = {
    "teamrun.agents.base:BaseChatAgent": "agent",
    "teamrun.teams.base:BaseGroupChat": "team",
    "teamrun.conditions.base:TerminationCondition": "termination",
    "teamrun.context.base:ChatCompletionContext": "chat_completion_context",
    "teamrun.memory.base:Memory": "memory",
    "teamrun.models.base:ChatCompletionClient": "model",
    "teamrun.code.base:CodeExecutor": "code_executor",
    "teamrun.tools.base:Tool": "tool",
    "teamrun.tools.workbench:Workbench": "workbench",
}
"""The kinds of classes of the user's own, by their seams."""


def inherited_row(cls: type) -> Row | None:
    """The row of a class or of the nearest class that it derives from."""
    return next(filter(None, (_BY_CLASS.get(_name(each)) for each in cls.__mro__)), None)


def kind_of(cls: type) -> str:
    """The kind of a component of that class.

    Raises:
        AttributeError: It derives from no seam.
    """
    row = inherited_row(cls)
    kinds = (_SEAMS.get(_name(each)) for each in cls.__mro__)
    kind = row.type if row else next(filter(None, kinds), None)
    if kind is None:
        raise AttributeError(f"{cls.__name__} needs the class variable 'component_type'.")
    return kind


def version_of(cls: type) -> int:
    """The version of a class's configuration."""
    row = inherited_row(cls)
    return row.version if row else 1


def provider_of(cls: type) -> str | None:
    """The name of a class of the table; None: its module and name. A subclass has its own."""
    row = _BY_CLASS.get(_name(cls))
    return row.provider if row else None


def _name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


@cache
def load(name: str) -> Any:
    """The object that `module:name` of a row refers to. Never call it with names from input."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
