"""One object of every class of the table, with the configuration that AutoGen 0.7.5 writes for it.

The configurations are written from the facts of AutoGen's classes, not with this project's code.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from pydantic import BaseModel

from teamrun.agents import (
    AssistantAgent,
    Handoff,
    UserProxyAgent,
)
from teamrun.conditions import (
    ExternalTermination,
    FunctionCallTermination,
    HandoffTermination,
    MaxMessageTermination,
    SourceMatchTermination,
    StopMessageTermination,
    TextMentionTermination,
    TextMessageTermination,
    TimeoutTermination,
    TokenUsageTermination,
)
from teamrun.context import (
    BufferedChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
    UnboundedChatCompletionContext,
)
from teamrun.memory import ListMemory, MemoryContent, MemoryMimeType
from teamrun.messages import UserMessage
from teamrun.models import (
    AnthropicChatCompletionClient,
    AzureOpenAIChatCompletionClient,
    BedrockChatCompletionClient,
    OpenAIChatCompletionClient,
)
from teamrun.teams import (
    CompetitiveGroupChat,
    ConcurrentGroupChat,
    DebateGroupChat,
    DiGraphBuilder,
    GraphFlow,
    HierarchicalGroupChat,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    SequentialGroupChat,
    Swarm,
)
from teamrun.testing import ScriptedModel
from teamrun.tools import (
    AgentTool,
    FunctionTool,
    ImportFromModule,
    StaticStreamWorkbench,
    StaticWorkbench,
    TeamTool,
    ToolOverride,
)

Json = dict[str, Any]

KEY = "sk-of-the-program"
INFO: Json = {
    "vision": False,
    "function_calling": True,
    "json_output": False,
    "family": "unknown",
    "structured_output": False,
}


class Answer(BaseModel):
    """A structured answer."""

    figure: int


def look_up(word: str) -> str:
    """Look a word up."""
    return word


SOURCE = 'def look_up(word: str) -> str:\n    """Look a word up."""\n    return word\n'


def model(*answers: str) -> ScriptedModel:
    return ScriptedModel(list(answers), model_info=INFO)  # pyright: ignore[reportArgumentType] - as data


def component(provider: str, type: str, config: Json, *, version: int = 1) -> Json:
    """A component without what has no effect: its label and description."""
    return {
        "provider": provider,
        "component_type": type,
        "version": version,
        "component_version": version,
        "config": config,
    }


MODEL = component(
    "autogen_ext.models.replay.ReplayChatCompletionClient",
    "replay_chat_completion_client",
    {"chat_completions": [], "model_info": INFO},
)
UNBOUNDED = component(
    "autogen_core.model_context.UnboundedChatCompletionContext", "chat_completion_context", {}
)
TOOL = component(
    "autogen_core.tools.FunctionTool",
    "tool",
    {
        "source_code": SOURCE,
        "name": "look_up",
        "description": "Look a word up.",
        "global_imports": ["math", {"module": "typing", "imports": ["Any"]}],
        "has_cancellation_support": False,
    },
)
MEMORY = component(
    "autogen_core.memory.ListMemory",
    "memory",
    {
        "name": "notes",
        "memory_contents": [{"content": "Likes tea.", "mime_type": "text/plain"}],
    },
)


def tool() -> FunctionTool:
    return FunctionTool(look_up, global_imports=["math", ImportFromModule("typing", ("Any",))])


def memory() -> ListMemory:
    content = MemoryContent(content="Likes tea.", mime_type=MemoryMimeType.TEXT)
    return ListMemory("notes", [content])


def agent(name: str = "writer") -> AssistantAgent:
    return AssistantAgent(name, model(), description="Writes.", system_message=None)


def agent_component(name: str = "writer", **config: Any) -> Json:
    config = {
        "name": name,
        "model_client": MODEL,
        "model_context": UNBOUNDED,
        "description": "Writes.",
        "model_client_stream": False,
        "reflect_on_tool_use": False,
        "tool_call_summary_format": "{result}",
        "max_tool_iterations": 1,
        "metadata": {},
        **config,
    }
    return component("autogen_agentchat.agents.AssistantAgent", "agent", config, version=2)


def flow(condition: Any) -> GraphFlow:
    a, b = agent("a"), agent("b")
    graph = DiGraphBuilder().add_node(a).add_node(b).add_edge(a, b, condition)
    return GraphFlow([a, b], graph.build())


STAGED: list[tuple[Any, Json]] = [
    (SequentialGroupChat, {"max_turns": 2}),
    (ConcurrentGroupChat, {"synthesizer": "a", "final_prompt": "Combine."}),
    (HierarchicalGroupChat, {"manager": "c", "rounds": 2, "final_prompt": "Answer."}),
    (DebateGroupChat, {"judge": "b", "rounds": 4, "final_prompt": "Judge."}),
    (CompetitiveGroupChat, {"judge": "a", "enough": 2, "final_prompt": "Choose."}),
]


def trio(cls: Any, options: Json) -> Any:
    return cls([agent(name) for name in "abc"], **options)


class Example(NamedTuple):
    make: Callable[[], Any]
    written: Json

    @property
    def name(self) -> str:
        return self.written["provider"].rpartition(".")[2]


def condition(make: Callable[[], Any], config: Json, *, package: str = "conditions") -> Example:
    name = type(make()).__name__
    return Example(make, component(f"autogen_agentchat.{package}.{name}", "termination", config))


def context(make: Callable[[], Any], config: Json) -> Example:
    provider = f"autogen_core.model_context.{type(make()).__name__}"
    return Example(make, component(provider, "chat_completion_context", config))


SOURCES = condition(lambda: SourceMatchTermination(["b", "a"]), {"sources": ["a", "b"]})
STOP = condition(StopMessageTermination, {})

EXAMPLES = [
    Example(
        lambda: AssistantAgent(
            "writer",
            model(),
            tools=[tool()],
            handoffs=[Handoff(target="editor", message="Go on.")],
            memory=[memory()],
            model_context=BufferedChatCompletionContext(5),
            description="Writes.",
            system_message="Write.",
            model_client_stream=True,
            max_tool_iterations=3,
            tool_call_summary_format="{tool_name}: {result}",
            output_content_type=Answer,
            output_content_type_format="{figure}",
            metadata={"desk": "1"},
        ),
        agent_component(
            workbench=[
                component(
                    "autogen_core.tools.StaticStreamWorkbench",
                    "workbench",
                    {"tools": [TOOL], "tool_overrides": {}},
                )
            ],
            handoffs=[
                {
                    "target": "editor",
                    "description": "Handoff to editor.",
                    "name": "transfer_to_editor",
                    "message": "Go on.",
                }
            ],
            memory=[MEMORY],
            model_context=component(
                "autogen_core.model_context.BufferedChatCompletionContext",
                "chat_completion_context",
                {"buffer_size": 5},
            ),
            system_message="Write.",
            model_client_stream=True,
            reflect_on_tool_use=True,
            max_tool_iterations=3,
            tool_call_summary_format="{tool_name}: {result}",
            structured_message_factory=component(
                "autogen_agentchat.messages.StructuredMessageFactory",
                "structured_message",
                {
                    "json_schema": {
                        "description": "A structured answer.",
                        "properties": {"figure": {"title": "Figure", "type": "integer"}},
                        "required": ["figure"],
                        "title": "Answer",
                        "type": "object",
                    },
                    "format_string": "{figure}",
                    "content_model_name": "Answer",
                },
            ),
            metadata={"desk": "1"},
        ),
    ),
    Example(
        lambda: UserProxyAgent("boss", description="Decides."),
        component(
            "autogen_agentchat.agents.UserProxyAgent",
            "agent",
            {"name": "boss", "description": "Decides."},
        ),
    ),
    Example(
        lambda: RoundRobinGroupChat(
            [agent(), RoundRobinGroupChat([agent("inner")], name="within")],
            name="desk",
            description="Two at a desk.",
            termination_condition=StopMessageTermination(),
            max_turns=4,
            emit_team_events=True,
        ),
        component(
            "autogen_agentchat.teams.RoundRobinGroupChat",
            "team",
            {
                "name": "desk",
                "description": "Two at a desk.",
                "participants": [
                    agent_component(),
                    component(
                        "autogen_agentchat.teams.RoundRobinGroupChat",
                        "team",
                        {
                            "name": "within",
                            "description": "A team of agents.",
                            "participants": [agent_component("inner")],
                            "emit_team_events": False,
                        },
                    ),
                ],
                "termination_condition": STOP.written,
                "max_turns": 4,
                "emit_team_events": True,
            },
        ),
    ),
    Example(
        lambda: SelectorGroupChat(
            [agent("a"), agent("b")],
            model(),
            selector_prompt="Choose: {participants}",
            allow_repeated_speaker=True,
            max_selector_attempts=2,
            model_client_streaming=True,
        ),
        component(
            "autogen_agentchat.teams.SelectorGroupChat",
            "team",
            {
                "name": "SelectorGroupChat",
                "description": "A team of agents.",
                "participants": [agent_component("a"), agent_component("b")],
                "model_client": MODEL,
                "selector_prompt": "Choose: {participants}",
                "allow_repeated_speaker": True,
                "max_selector_attempts": 2,
                "emit_team_events": False,
                "model_client_streaming": True,
                "model_context": UNBOUNDED,
            },
        ),
    ),
    Example(
        lambda: flow("yes"),
        component(
            "autogen_agentchat.teams.GraphFlow",
            "team",
            {
                "name": "GraphFlow",
                "description": "A team of agents.",
                "participants": [agent_component("a"), agent_component("b")],
                "emit_team_events": False,
                "graph": {
                    "nodes": {
                        "a": {
                            "name": "a",
                            "edges": [
                                {
                                    "target": "b",
                                    "condition": "yes",
                                    "activation_group": "b",
                                    "activation_condition": "all",
                                }
                            ],
                            "activation": "all",
                        },
                        "b": {"name": "b", "edges": [], "activation": "all"},
                    }
                },
            },
        ),
    ),
    *(
        Example(
            partial(trio, cls, options),
            component(
                f"teamrun.teams.{cls.__name__}",
                "team",
                {
                    "name": cls.__name__,
                    "description": "A team of agents.",
                    "participants": [agent_component(name) for name in "abc"],
                    "emit_team_events": False,
                    **options,
                },
            ),
        )
        for cls, options in STAGED
    ),
    Example(
        lambda: MagenticOneGroupChat(
            [agent("a")], model(), max_turns=4, final_answer_prompt="Answer."
        ),
        component(
            "autogen_agentchat.teams.MagenticOneGroupChat",
            "team",
            {
                "name": "MagenticOneGroupChat",
                "description": "A team of agents.",
                "participants": [agent_component("a")],
                "max_turns": 4,
                "emit_team_events": False,
                "model_client": MODEL,
                "max_stalls": 3,
                "final_answer_prompt": "Answer.",
            },
        ),
    ),
    Example(
        lambda: Swarm([AssistantAgent("a", model(), handoffs=["b"]), agent("b")], max_turns=2),
        component(
            "autogen_agentchat.teams.Swarm",
            "team",
            {
                "name": "Swarm",
                "description": "A team of agents.",
                "participants": [
                    agent_component(
                        "a",
                        description=(
                            "An agent that provides assistance with ability to use tools."
                        ),
                        system_message=(
                            "You are a helpful AI assistant. Solve tasks using your tools. "
                            "Reply with TERMINATE when the task has been completed."
                        ),
                        handoffs=[
                            {
                                "target": "b",
                                "description": "Handoff to b.",
                                "name": "transfer_to_b",
                                "message": (
                                    "Transferred to b, adopting the role of b immediately."
                                ),
                            }
                        ],
                    ),
                    agent_component("b"),
                ],
                "max_turns": 2,
                "emit_team_events": False,
            },
        ),
    ),
    condition(
        lambda: TextMentionTermination("END", ["b", "a"], ignore_case=True),
        {"text": "END", "sources": ["a", "b"], "ignore_case": True},
    ),
    condition(
        lambda: MaxMessageTermination(7, include_agent_event=True),
        {"max_messages": 7, "include_agent_event": True},
    ),
    STOP,
    condition(
        lambda: TokenUsageTermination(max_prompt_token=9),
        {"max_total_token": None, "max_prompt_token": 9, "max_completion_token": None},
    ),
    condition(lambda: HandoffTermination("user"), {"target": "user"}),
    condition(lambda: TimeoutTermination(1.5), {"timeout_seconds": 1.5}),
    condition(ExternalTermination, {}),
    SOURCES,
    condition(lambda: TextMessageTermination("a"), {"source": "a"}),
    condition(lambda: FunctionCallTermination("look_up"), {"function_name": "look_up"}),
    condition(
        lambda: SourceMatchTermination(["b", "a"]) | StopMessageTermination(),
        {"conditions": [SOURCES.written, STOP.written]},
        package="base",
    ),
    condition(
        lambda: StopMessageTermination() & SourceMatchTermination(["b", "a"]),
        {"conditions": [STOP.written, SOURCES.written]},
        package="base",
    ),
    context(
        lambda: UnboundedChatCompletionContext([UserMessage(content="Hi.", source="user")]),
        {"initial_messages": [{"content": "Hi.", "source": "user", "type": "UserMessage"}]},
    ),
    context(lambda: BufferedChatCompletionContext(3), {"buffer_size": 3}),
    context(lambda: HeadAndTailChatCompletionContext(2, 5), {"head_size": 2, "tail_size": 5}),
    context(
        lambda: TokenLimitedChatCompletionContext(model(), token_limit=100),
        {"model_client": MODEL, "token_limit": 100, "tool_schema": []},
    ),
    Example(memory, MEMORY),
    Example(tool, TOOL),
    Example(
        lambda: AgentTool(agent(), return_value_as_last_message=True),
        component(
            "autogen_agentchat.tools.AgentTool",
            "tool",
            {"agent": agent_component(), "return_value_as_last_message": True},
        ),
    ),
    Example(
        lambda: TeamTool(RoundRobinGroupChat([agent()]), "desk", "A desk."),
        component(
            "autogen_agentchat.tools.TeamTool",
            "tool",
            {
                "name": "desk",
                "description": "A desk.",
                "team": component(
                    "autogen_agentchat.teams.RoundRobinGroupChat",
                    "team",
                    {
                        "name": "RoundRobinGroupChat",
                        "description": "A team of agents.",
                        "participants": [agent_component()],
                        "emit_team_events": False,
                    },
                ),
                "return_value_as_last_message": False,
            },
        ),
    ),
    Example(
        lambda: StaticWorkbench([tool()], {"look_up": ToolOverride(name="find")}),
        component(
            "autogen_core.tools.StaticWorkbench",
            "workbench",
            {"tools": [TOOL], "tool_overrides": {"look_up": {"name": "find"}}},
        ),
    ),
    Example(
        lambda: StaticStreamWorkbench([]),
        component(
            "autogen_core.tools.StaticStreamWorkbench",
            "workbench",
            {"tools": [], "tool_overrides": {}},
        ),
    ),
    Example(
        lambda: OpenAIChatCompletionClient(
            "gpt-4o",
            api_key=KEY,
            base_url="https://models.example/v1",
            organization="org",
            timeout=30,
            temperature=0.2,
            max_completion_tokens=50,
        ),
        component(
            "autogen_ext.models.openai.OpenAIChatCompletionClient",
            "model",
            {
                "model": "gpt-4o",
                "api_key": "**********",
                "base_url": "https://models.example/v1",
                "organization": "org",
                "timeout": 30,
                "add_name_prefixes": False,
                "include_name_in_message": True,
                "temperature": 0.2,
                "max_completion_tokens": 50,
            },
        ),
    ),
    Example(
        lambda: AzureOpenAIChatCompletionClient(
            "gpt-4o",
            api_key=KEY,
            azure_endpoint="https://r.openai.azure.com",
            azure_deployment="d",
            api_version="2024-10-21",
        ),
        component(
            "autogen_ext.models.openai.AzureOpenAIChatCompletionClient",
            "model",
            {
                "model": "gpt-4o",
                "api_key": "**********",
                "azure_endpoint": "https://r.openai.azure.com",
                "azure_deployment": "d",
                "api_version": "2024-10-21",
                "add_name_prefixes": False,
                "include_name_in_message": True,
            },
        ),
    ),
    Example(
        lambda: AnthropicChatCompletionClient("claude-sonnet-5", api_key=KEY, stop="END"),
        component(
            "autogen_ext.models.anthropic.AnthropicChatCompletionClient",
            "model",
            {"model": "claude-sonnet-5", "api_key": "**********", "stop_sequences": ["END"]},
        ),
    ),
    Example(
        lambda: BedrockChatCompletionClient(
            "amazon.nova-lite-v1:0", "eu-central-1", max_tokens=100, prompt_caching=True
        ),
        component(
            "teamrun.models.BedrockChatCompletionClient",
            "model",
            {
                "model": "amazon.nova-lite-v1:0",
                "region": "eu-central-1",
                "max_tokens": 100,
                "prompt_caching": True,
            },
        ),
    ),
    Example(lambda: ScriptedModel([], model_info=INFO), MODEL),  # pyright: ignore[reportArgumentType] - as data
]
