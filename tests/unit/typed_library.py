# pyright: strict, reportUnnecessaryTypeIgnoreComment=error
"""What an editor knows about the library: pyright checks this module, which refuses wrong calls.

Nothing here is executed. Each wrong call has a comment with the rule that refuses it; a call that
pyright no longer refuses is an error of the comment.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import assert_type

from pydantic import BaseModel

from teamrun import Console
from teamrun.agents import (
    AssistantAgent,
    BaseChatAgent,
    CodeExecutorAgent,
    Handoff,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
    SocietyOfMindAgent,
    UserProxyAgent,
)
from teamrun.code import LocalCommandLineCodeExecutor
from teamrun.components.building.teams import build_team
from teamrun.components.config_loader import AgentConfig, ConfigLoader, TeamConfig
from teamrun.components.definitions.agents import AssistantDefinition
from teamrun.components.definitions.base import TeamDefinition
from teamrun.components.definitions.teams import RoundRobinDefinition
from teamrun.components.registry import Registry
from teamrun.conditions import (
    AndTerminationCondition,
    FunctionalTermination,
    HandoffTermination,
    MaxMessageTermination,
    OrTerminationCondition,
    SourceMatchTermination,
    TextMentionTermination,
    TimeoutTermination,
    TokenUsageTermination,
)
from teamrun.context import BufferedChatCompletionContext, UnboundedChatCompletionContext
from teamrun.core import CancellationToken, ComponentModel, Response, TaskResult
from teamrun.core.bus import AgentCompleted, AgentStarted, LifecycleEvent, ToolCompleted
from teamrun.json_types import JsonMapping
from teamrun.memory import ListMemory, MemoryContent, MemoryQueryResult
from teamrun.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    CreateResult,
    LLMMessage,
    StructuredMessage,
    TextMessage,
    UserMessage,
)
from teamrun.models import ChatCompletionClient, OpenAIChatCompletionClient
from teamrun.teams import (
    BaseGroupChat,
    ConcurrentGroupChat,
    DebateGroupChat,
    DiGraph,
    DiGraphBuilder,
    GraphFlow,
    HierarchicalGroupChat,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from teamrun.testing import ScriptedModel
from teamrun.tools import (
    AgentTool,
    BaseTool,
    FunctionTool,
    StaticWorkbench,
    TeamTool,
    Tool,
    ToolContext,
    ToolResult,
)


class Answer(BaseModel):
    figure: int


def look_up(word: str, context: ToolContext) -> str:
    return word


async def agents(client: ChatCompletionClient) -> None:
    agent = AssistantAgent("a", client, tools=[look_up, FunctionTool(look_up)], handoffs=["b"])
    assert_type(await agent.run("task"), TaskResult)
    assert_type(await agent.run(task=[TextMessage(content="x", source="u")]), TaskResult)
    assert_type(await agent.on_messages([TextMessage(content="x", source="u")]), Response)
    assert_type(agent.system_message, str | None)
    assert_type(agent.model_client, ChatCompletionClient)
    assert_type(agent.add_instructions("Be brief."), bool)
    async for item in agent.run_stream(task="x"):
        assert_type(item, BaseAgentEvent | BaseChatMessage | TaskResult)
    async for item in agent.on_messages_stream([]):
        assert_type(item, BaseAgentEvent | BaseChatMessage | Response)
    agent.tools.append(look_up)
    AssistantAgent("a")  # pyright: ignore[reportCallIssue] - a model is needed
    AssistantAgent("a", "gpt-4o")  # pyright: ignore[reportArgumentType] - a name is no client
    AssistantAgent("a", client, tools=["look_up"])  # pyright: ignore[reportArgumentType] - a name
    AssistantAgent("a", client, tools=look_up)  # pyright: ignore[reportArgumentType] - no list
    AssistantAgent("a", client, handoffs=[3])  # pyright: ignore[reportArgumentType]
    AssistantAgent("a", client, memory=ListMemory())  # pyright: ignore[reportArgumentType] - no list
    AssistantAgent("a", client, tool_choice="never")  # pyright: ignore[reportArgumentType]
    AssistantAgent("a", client, output_content_type=Answer(figure=1))  # pyright: ignore[reportArgumentType]
    AssistantAgent("a", client, system_prompt="x")  # pyright: ignore[reportCallIssue] - no such argument
    await agent.run(3)  # pyright: ignore[reportArgumentType] - no task
    await agent.run("x", CancellationToken())  # pyright: ignore[reportCallIssue] - by name
    await agent.on_messages(TextMessage(content="x", source="u"))  # pyright: ignore[reportArgumentType]
    agent.tools.append("look_up")  # pyright: ignore[reportArgumentType]


def hooks(agent: AssistantAgent, team: BaseGroupChat) -> None:
    def started(event: AgentStarted) -> None: ...
    async def completed(event: AgentCompleted) -> None: ...
    def heard(message: BaseChatMessage) -> None: ...
    def ended(response: Response) -> None: ...

    assert_type(agent.on_message(heard).on_complete(ended), AssistantAgent)
    agent.on_message(ended)  # pyright: ignore[reportArgumentType] - it takes messages
    agent.on_complete(heard)  # pyright: ignore[reportArgumentType] - it takes responses
    assert_type(team.on(AgentStarted, started).on(AgentCompleted, completed), BaseGroupChat)
    team.on(ToolCompleted, lambda event: assert_type(event.duration_ms, float))
    team.on(AgentStarted, completed)  # pyright: ignore[reportArgumentType] - of another event
    team.on("AgentStarted", started)  # pyright: ignore[reportArgumentType] - a name is no class
    team.on(TextMessage, heard)  # pyright: ignore[reportArgumentType] - no event of the bus
    assert_type(team.events.get_events(), Sequence[LifecycleEvent])
    assert_type(team.events.get_events(AgentStarted), Sequence[AgentStarted])
    team.events.subscribe(AgentStarted, completed)  # pyright: ignore[reportArgumentType]


async def other_agents(client: ChatCompletionClient, team: BaseGroupChat, path: Path) -> None:
    async def ask(prompt: str, token: CancellationToken | None) -> str: ...
    def count(prompt: str) -> int: ...

    UserProxyAgent("u", input_func=ask)
    UserProxyAgent("u", input_func=input)
    UserProxyAgent("u", input_func=count)  # pyright: ignore[reportArgumentType] - no text
    executor = LocalCommandLineCodeExecutor(work_dir=path, timeout=5)
    CodeExecutorAgent("c", executor, model_client=client, sources=["a"])
    CodeExecutorAgent("c", "docker")  # pyright: ignore[reportArgumentType]
    SocietyOfMindAgent("s", team, client)
    SocietyOfMindAgent("s", client, team)  # pyright: ignore[reportArgumentType] - the other way round
    selection = MessageFilterConfig(per_source=[PerSourceFilter(source="a", position="last")])
    MessageFilterAgent("f", UserProxyAgent("u"), selection)
    MessageFilterAgent("f", UserProxyAgent("u"), {"a": 1})  # pyright: ignore[reportArgumentType]
    PerSourceFilter(source="a", position="middle")  # pyright: ignore[reportArgumentType]
    assert_type(Handoff(target="b").handoff_tool, FunctionTool)
    Handoff("b")  # pyright: ignore[reportCallIssue] - by name
    Handoff(target=3)  # pyright: ignore[reportArgumentType]


class Echo(BaseChatAgent):
    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        return Response(chat_message=TextMessage(content=messages[-1].to_text(), source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken | None = None) -> None: ...


class Half(BaseChatAgent):
    async def on_reset(self, cancellation_token: CancellationToken | None = None) -> None: ...


def own_agents() -> None:
    Echo("e", "Echoes.")
    Echo("e")  # pyright: ignore[reportCallIssue] - a description is needed
    Half("h", "Half.")  # pyright: ignore[reportAbstractUsage] - it has no on_messages
    Response(chat_message="text")  # pyright: ignore[reportArgumentType]


async def teams(client: ChatCompletionClient, a: AssistantAgent, b: Echo) -> None:
    team = RoundRobinGroupChat([a, b], termination_condition=MaxMessageTermination(3), max_turns=2)
    result = assert_type(await team.run("x"), TaskResult)
    assert_type(result.messages, Sequence[BaseAgentEvent | BaseChatMessage])
    assert_type(result.stop_reason, str | None)
    async for item in team.run_stream(task="x"):
        assert_type(item, BaseAgentEvent | BaseChatMessage | TaskResult)
    assert_type(await Console(team.run_stream(task="x")), TaskResult)
    assert_type(await Console(a.on_messages_stream([])), Response)
    await Console("x")  # pyright: ignore[reportArgumentType] - no stream
    assert_type(await team.save_state(), JsonMapping)
    assert_type(team.instruct(objectives=["x"]), RoundRobinGroupChat)
    assert_type(team.open_shared_memory(), RoundRobinGroupChat)
    RoundRobinGroupChat([RoundRobinGroupChat([a])])
    RoundRobinGroupChat([team, "b"])  # pyright: ignore[reportArgumentType] - a name is no agent
    RoundRobinGroupChat(a)  # pyright: ignore[reportArgumentType] - no list
    RoundRobinGroupChat([a], termination_condition="END")  # pyright: ignore[reportArgumentType]
    RoundRobinGroupChat([a], termination=MaxMessageTermination(3))  # pyright: ignore[reportCallIssue]
    RoundRobinGroupChat([a], max_turns="3")  # pyright: ignore[reportArgumentType]
    team.instruct(objectives=3)  # pyright: ignore[reportArgumentType]
    await team.load_state("{}")  # pyright: ignore[reportArgumentType] - JSON text

    def select(messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None: ...
    async def candidates(messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> list[str]: ...
    def of_text(message: str) -> str: ...

    SelectorGroupChat([a, b], client, selector_func=select, candidate_func=candidates)
    SelectorGroupChat([a, b], client, selector_func=of_text)  # pyright: ignore[reportArgumentType]
    SelectorGroupChat([a, b], client, candidate_func=select)  # pyright: ignore[reportArgumentType]
    Swarm([a, b])
    Swarm([a, team])  # pyright: ignore[reportArgumentType] - it takes no teams
    MagenticOneGroupChat([a], client, max_stalls=1)
    MagenticOneGroupChat([a], client, max_stalls="1")  # pyright: ignore[reportArgumentType]
    HierarchicalGroupChat([a, b], manager="a", rounds=2, max_turns=9)
    HierarchicalGroupChat([a, b], manager=a)  # pyright: ignore[reportArgumentType] - by its name
    HierarchicalGroupChat([a, b], judge="a")  # pyright: ignore[reportCallIssue] - of a debate
    DebateGroupChat([a, b, team], judge="a")
    ConcurrentGroupChat([a, b], synthesizer="a", max_turns="3")  # pyright: ignore[reportArgumentType]


def graphs(a: AssistantAgent, b: Echo, team: BaseGroupChat) -> None:
    def approves(message: BaseChatMessage) -> bool: ...
    def counts(number: int) -> bool: ...

    builder = DiGraphBuilder().add_node(a).add_node(b, activation="any")
    assert_type(builder.add_edge(a, "b", approves).add_edge(b, a, "again"), DiGraphBuilder)
    assert_type(builder.build(), DiGraph)
    GraphFlow(builder.get_participants(), graph=builder.build())
    GraphFlow([a, b], graph=builder)  # pyright: ignore[reportArgumentType] - it is not built
    builder.add_node("a")  # pyright: ignore[reportArgumentType] - a name is no agent
    builder.add_node(team)  # pyright: ignore[reportArgumentType] - no team
    builder.add_node(a, activation="some")  # pyright: ignore[reportArgumentType]
    builder.add_edge(a, b, counts)  # pyright: ignore[reportArgumentType] - it takes no message
    builder.add_edge(a, b, activation_condition="one")  # pyright: ignore[reportArgumentType]
    builder.set_entry_point(3)  # pyright: ignore[reportArgumentType]


def conditions() -> None:
    either = TextMentionTermination("END") | MaxMessageTermination(3)
    assert_type(either, OrTerminationCondition)
    assert_type(either & TimeoutTermination(2.5), AndTerminationCondition)
    FunctionalTermination(lambda messages: assert_type(len(messages), int) > 3)
    TextMentionTermination("END") | "STOP"  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
    TextMentionTermination(3)  # pyright: ignore[reportArgumentType]
    TextMentionTermination("END", sources=["a"])
    MaxMessageTermination("3")  # pyright: ignore[reportArgumentType]
    MaxMessageTermination(maximum=3)  # pyright: ignore[reportCallIssue] - no such argument
    TokenUsageTermination(max_total_tokens=3)  # pyright: ignore[reportCallIssue] - max_total_token
    HandoffTermination()  # pyright: ignore[reportCallIssue] - a target is needed
    SourceMatchTermination([3])  # pyright: ignore[reportArgumentType]
    TimeoutTermination("3")  # pyright: ignore[reportArgumentType]
    FunctionalTermination(lambda: True)  # pyright: ignore[reportArgumentType] - it gets messages
    OrTerminationCondition("END")  # pyright: ignore[reportArgumentType]


class Mine(BaseTool[Answer, str]):
    def __init__(self) -> None:
        super().__init__(Answer, str, "mine", "Mine.")

    async def run(self, args: Answer, cancellation_token: CancellationToken) -> str:
        assert_type(args.figure, int)
        return str(args.figure)


class Wrong(BaseTool[Answer, str]):
    async def run(  # pyright: ignore[reportIncompatibleMethodOverride] - of other arguments
        self, args: str, cancellation_token: CancellationToken
    ) -> str:
        return args


async def tools(agent: AssistantAgent, team: BaseGroupChat) -> None:
    assert_type(await Mine().run(Answer(figure=1), CancellationToken()), str)
    assert_type(Mine().args_type(), type[Answer])
    workbench = StaticWorkbench([FunctionTool(look_up, "Look up.", effects="none"), Mine()])
    assert_type(await workbench.call_tool("mine", {"figure": 1}), ToolResult)
    AgentTool(agent, return_value_as_last_message=True)
    TeamTool(team, "desk", "A desk.")
    FunctionTool("look_up", "Look up.")  # pyright: ignore[reportArgumentType] - a name
    FunctionTool(look_up, "Look up.", effects="read")  # pyright: ignore[reportArgumentType]
    FunctionTool(look_up, "Look up.", timeout=3)  # pyright: ignore[reportArgumentType] - a timedelta
    AgentTool(team)  # pyright: ignore[reportArgumentType] - no agent
    TeamTool(agent, "desk", "A desk.")  # pyright: ignore[reportArgumentType] - no team
    TeamTool(team)  # pyright: ignore[reportCallIssue] - a name is needed
    StaticWorkbench([look_up])  # pyright: ignore[reportArgumentType] - a function is no tool
    await workbench.call_tool("mine", "{}")  # pyright: ignore[reportArgumentType] - JSON text
    await Mine().run({"figure": 1}, CancellationToken())  # pyright: ignore[reportArgumentType]


async def memories() -> None:
    memory = ListMemory("notes", [MemoryContent(content="x", mime_type="text/plain")])
    assert_type(memory.content, list[MemoryContent])
    assert_type(await memory.query("x"), MemoryQueryResult)
    await memory.add("x")  # pyright: ignore[reportArgumentType] - a text is no content
    MemoryContent(content="x")  # pyright: ignore[reportCallIssue] - a media type is needed
    context = BufferedChatCompletionContext(buffer_size=3)
    assert_type(await context.get_messages(), list[LLMMessage])
    await context.add_message(UserMessage(content="x", source="u"))
    await context.add_message(TextMessage(content="x", source="u"))  # pyright: ignore[reportArgumentType]
    BufferedChatCompletionContext()  # pyright: ignore[reportCallIssue] - a size is needed
    BufferedChatCompletionContext("3")  # pyright: ignore[reportArgumentType]
    UnboundedChatCompletionContext(["x"])  # pyright: ignore[reportArgumentType]


async def models() -> None:
    client = OpenAIChatCompletionClient(model="gpt-4o", temperature=0.5)
    result = assert_type(await client.create([UserMessage(content="x", source="u")]), CreateResult)
    assert_type(result.usage.prompt_tokens, int)
    async for item in client.create_stream([UserMessage(content="x", source="u")]):
        assert_type(item, str | CreateResult)
    ScriptedModel(["x", {"tool_calls": [{"name": "mine", "arguments": {}}]}])
    await client.create("x")  # pyright: ignore[reportArgumentType] - no messages
    await client.create([], tools=[look_up])  # pyright: ignore[reportArgumentType] - a function
    await client.create([], tool_choice="never")  # pyright: ignore[reportArgumentType]
    OpenAIChatCompletionClient(model="gpt-4o", temperature="warm")  # pyright: ignore[reportArgumentType]


def components(team: BaseGroupChat, agent: AssistantAgent) -> None:
    assert_type(team.dump_component(), ComponentModel)
    data = team.dump_component()
    assert_type(RoundRobinGroupChat.load_component(data), RoundRobinGroupChat)
    assert_type(AssistantAgent.load_component(agent.dump_component()), AssistantAgent)
    assert_type(BaseGroupChat.load_component(data, expected=Swarm), Swarm)
    RoundRobinGroupChat.load_component("{}")  # pyright: ignore[reportArgumentType] - JSON text


def definitions(client: ChatCompletionClient, agent: AssistantAgent) -> None:
    config = ConfigLoader.load("teamrun.yaml")
    assert_type(config.agents["a"], AgentConfig)
    assert_type(config.agents["a"].create_agent(client), BaseChatAgent)
    assert_type(config.teams["t"], TeamConfig)
    assert_type(config.teams["t"].create_team([agent], client), BaseGroupChat)
    assert_type(config.tools["x"], Tool)
    config.teams["t"].create_team(agent)  # pyright: ignore[reportArgumentType] - no list
    config.agents["a"].create_agent("gpt-4o")  # pyright: ignore[reportArgumentType] - a name
    ConfigLoader.load({"version": 1})  # pyright: ignore[reportArgumentType] - a path
    registry = Registry.of(models={"m": client}, teams={}, tools=[Mine()])
    Registry.of(models={"m": "gpt-4o"}, teams={})  # pyright: ignore[reportArgumentType]
    member = AssistantDefinition(name="a", model="m", tools=("mine",))
    team = RoundRobinDefinition(participants=(member,), objectives=("Win.",), max_turns=3)
    assert_type(build_team(team, registry), BaseGroupChat)
    assert_type(registry.resolve(team_spec={"type": "swarm"}).definition, TeamDefinition)
    AssistantDefinition(name="a")  # pyright: ignore[reportCallIssue] - a model is needed
    AssistantDefinition(name="a", model=client)  # pyright: ignore[reportArgumentType] - a name
    RoundRobinDefinition(participants="a")  # pyright: ignore[reportArgumentType]
    RoundRobinDefinition(participants=(member,), rounds=3)  # pyright: ignore[reportCallIssue]
    build_team("t", registry)  # pyright: ignore[reportArgumentType] - a name is no definition


def messages() -> None:
    answer = StructuredMessage[Answer](content=Answer(figure=1), source="a")
    assert_type(answer.content.figure, int)
    TextMessage(content="x")  # pyright: ignore[reportCallIssue] - a source is needed
    TextMessage(content=3, source="u")  # pyright: ignore[reportArgumentType]
    StructuredMessage[Answer](content="x", source="a")  # pyright: ignore[reportArgumentType]


def forgotten(team: BaseGroupChat) -> None:
    team.run("x")  # pyright: ignore[reportUnusedCoroutine]
