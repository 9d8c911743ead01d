"""Functions and typed events of agents: their order, their content, and what they cost."""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from subprocess import check_output
from typing import Any

import pytest

from teamrun import AssistantAgent, Response, RoundRobinGroupChat, TextMessage
from teamrun.agents import BaseChatAgent
from teamrun.core.agent_state import AgentState
from teamrun.core.bus import (
    AgentCompleted,
    AgentStarted,
    Error,
    EventBus,
    LifecycleEvent,
    MessageReceived,
    MessageSent,
    ToolCompleted,
    ToolInvoked,
)
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import AnyMessage
from teamrun.messages import BaseChatMessage
from teamrun.testing import ScriptedModel
from teamrun.tools import AgentTool

HELLO = TextMessage(content="Hello", source="user")


async def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def calling(name: str = "a") -> AssistantAgent:
    call = {"tool_calls": [{"name": "double", "arguments": {"number": 2}, "id": "c1"}]}
    return AssistantAgent(name, ScriptedModel([call, call]), tools=[double])


class Echo(BaseChatAgent):
    """An agent of a user's own, which has an attribute of its own named `state`."""

    def __init__(self, name: str = "echo", failure: Exception | None = None) -> None:
        super().__init__(name, "Echoes.")
        self.failure = failure

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        if self.failure is not None:
            raise self.failure
        return Response(chat_message=TextMessage(content=f"{len(messages)}", source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken | None = None) -> None:
        pass


WAYS: dict[str, Callable[[BaseChatAgent], Awaitable[object]]] = {
    "run": lambda agent: agent.run("Hello"),
    "on_messages": lambda agent: agent.on_messages([HELLO]),
    "a stream": lambda agent: last(agent.run_stream("Hello")),
    "a team": lambda agent: RoundRobinGroupChat([agent], max_turns=1).run("Hello"),
    "a team's stream": lambda agent: last(
        RoundRobinGroupChat([agent], max_turns=1).run_stream("Hello")
    ),
}


async def last(stream: Any) -> Any:
    return [item async for item in stream][-1]


@pytest.mark.behaviour("agent.hooks")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("make", [calling, Echo])
async def test_functions_are_called_once_in_each_turn(make: Any, way: Any) -> None:
    seen: list[Any] = []

    async def completed(response: Response) -> None:
        seen.append(type(response))

    agent: BaseChatAgent = make()
    same = (
        agent.on_initialized(lambda: seen.append("initialized"))
        .on_initialized(lambda of: seen.append(of is agent))
        .on_message(lambda message: seen.append(message.to_text()))
        .on_complete(completed)
        .on_error(seen.append)
    )
    await way(agent)
    await way(agent)

    assert same is agent
    assert seen[:4] == ["initialized", True, "Hello", Response]
    assert seen[4:] == ["Hello", Response]


@pytest.mark.behaviour("agent.hooks")
async def test_an_error_is_passed_on_after_its_function() -> None:
    error = ValueError("broken")
    agent, seen = Echo(failure=error), list[Any]()
    agent.on_error(seen.append)

    with pytest.raises(ValueError, match="broken"):
        await RoundRobinGroupChat([agent], max_turns=1).run("Hello")

    assert seen == [error]
    assert agent.state == AgentState.ERROR


async def test_the_exception_of_a_function_ends_the_turn() -> None:
    def refuse(response: Response) -> None:
        raise RuntimeError("not like this")

    agent = calling().on_complete(refuse)

    with pytest.raises(RuntimeError, match="not like this"):
        await agent.run("Hello")


@pytest.mark.behaviour("events.on")
async def test_a_team_emits_typed_events_of_its_agents_and_of_inner_teams() -> None:
    inner = RoundRobinGroupChat([Echo()], name="inner", max_turns=1)
    team = RoundRobinGroupChat([calling(), inner], max_turns=2)
    started: list[str] = []

    async def note(event: AgentStarted) -> None:
        started.append(event.agent_id)

    assert team.on(AgentStarted, note) is team
    await team.run(task="Hello")

    assert started == ["a", "echo"]
    names = [(type(event).__name__, event.agent_id) for event in team.events.get_events()]
    assert names == [
        ("AgentStarted", "a"),
        ("MessageReceived", "a"),
        ("ToolInvoked", "a"),
        ("ToolCompleted", "a"),
        ("MessageSent", "a"),
        ("AgentCompleted", "a"),
        ("AgentStopped", "a"),
        ("AgentStarted", "echo"),
        ("MessageReceived", "echo"),
        ("MessageReceived", "echo"),
        ("MessageSent", "echo"),
        ("AgentCompleted", "echo"),
        ("AgentStopped", "echo"),
    ]
    [invoked] = team.events.get_events(ToolInvoked)
    [completed] = team.events.get_events(ToolCompleted)
    assert (invoked.tool_name, invoked.arguments) == ("double", '{"number": 2}')
    assert (completed.call_id, completed.result, completed.is_error) == (
        invoked.call_id,
        "4",
        False,
    )
    assert completed.duration_ms >= 0
    assert [str(event.response) for event in team.events.get_events(AgentCompleted)] == ["4", "2"]
    assert [event.message.to_text() for event in team.events.get_events(MessageSent)] == ["4", "2"]


@pytest.mark.behaviour("events.on")
async def test_an_error_of_an_agent_is_an_event() -> None:
    team = RoundRobinGroupChat([Echo(failure=ValueError("broken"))], max_turns=1)
    errors: list[Error] = []
    team.on(Error, errors.append)

    with pytest.raises(ValueError, match="broken"):
        await team.run(task="Hello")

    assert [(event.agent_id, str(event.error)) for event in errors] == [("echo", "broken")]


@pytest.mark.behaviour("events.bus")
async def test_a_bus_delivers_by_class_until_a_function_unsubscribes() -> None:
    bus, every, started = EventBus(), list[LifecycleEvent](), list[LifecycleEvent]()
    bus.subscribe(LifecycleEvent, every.append)
    bus.subscribe(AgentStarted, started.append)
    first, second = AgentStarted(agent_id="a"), MessageReceived(agent_id="a", message=HELLO)

    await bus.emit(first)
    await bus.emit(second)
    bus.unsubscribe(AgentStarted, started.append)
    await bus.emit(first)

    assert (every, started) == ([first, second, first], [first])
    assert bus.get_events(AgentStarted) == [first, first]
    with pytest.raises(ValueError, match="not subscribed to AgentStarted"):
        bus.unsubscribe(AgentStarted, started.append)
    with pytest.raises(TypeError, match="such as AgentStarted"):
        bus.subscribe("AgentStarted", started.append)  # pyright: ignore[reportArgumentType] - a wrong call


@pytest.mark.behaviour("agent.states")
async def test_the_states_of_an_agent() -> None:
    agent = calling()
    states = [agent.state]
    team = RoundRobinGroupChat([agent], max_turns=1)
    states.append(agent.state)

    async for item in team.run_stream(task="Hello"):
        if type(item).__name__ == "ToolCallRequestEvent":
            states.append(agent.state)
            await team.pause()
            states.append(agent.state)
            await team.resume()
            states.append(agent.state)
    states.append(agent.state)
    await team.reset()
    states.append(agent.state)

    assert states == [
        "created",
        "initialized",
        "running",
        "paused",
        "running",
        "completed",
        "initialized",
    ]


async def test_an_agent_may_have_its_own_attribute_of_that_name() -> None:
    class Counting(Echo):
        def __init__(self) -> None:
            super().__init__()
            self.state = {"n": 1}  # pyright: ignore[reportAttributeAccessIssue] - as scripts do

    agent = Counting()
    await RoundRobinGroupChat([agent], max_turns=1).run(task="Hello")

    assert agent.state == {"n": 1}


async def test_what_is_not_used_does_not_exist() -> None:
    agent = calling()
    team = RoundRobinGroupChat([agent], max_turns=1)
    await team.run(task="Hello")

    assert "on_messages_stream" not in vars(agent)
    assert not {"_events", "_shared"} & vars(team).keys()


def test_the_events_are_not_imported_before_they_are_used() -> None:
    code = "import teamrun.agents.assistant, teamrun.teams.base, sys; print(sorted(sys.modules))"

    modules = check_output([sys.executable, "-c", code], text=True)

    assert "'teamrun.teams.base'" in modules
    assert "'teamrun.core.bus'" not in modules


async def test_a_message_between_two_events_is_reported_as_sent() -> None:
    class Talking(Echo):
        async def on_messages_stream(
            self,
            messages: Sequence[BaseChatMessage],
            cancellation_token: CancellationToken | None = None,
        ) -> AsyncGenerator[AnyMessage | Response, None]:
            yield TextMessage(content="On my way", source=self.name)
            yield await self.on_messages(messages, cancellation_token)

    team = RoundRobinGroupChat([Talking()], max_turns=1)
    sent: list[AnyMessage] = []
    team.on(MessageSent, lambda event: sent.append(event.message))
    await team.run(task="Hello")

    assert [message.to_text() for message in sent] == ["On my way", "1"]


@pytest.mark.behaviour("agent.hooks")
def test_a_hook_is_a_function() -> None:
    agent: Any = Echo()
    with pytest.raises(TypeError, match="a function"):
        agent.on_message("x")


async def test_the_calls_of_an_agent_as_a_tool_have_its_name() -> None:
    call = {"tool_calls": [{"name": "inner", "arguments": {"task": "Go"}}]}
    lead = AssistantAgent(
        "lead", ScriptedModel([call, "Done"]), tools=[AgentTool(calling("inner"))]
    )
    team, seen = RoundRobinGroupChat([lead], max_turns=1), list[tuple[str, str, str]]()

    def note(event: ToolInvoked | ToolCompleted) -> None:
        seen.append((type(event).__name__, event.agent_id, event.tool_name))

    team.on(ToolInvoked, note)
    team.on(ToolCompleted, note)
    await team.run("Hello")

    assert seen == [
        ("ToolInvoked", "lead", "inner"),
        ("ToolInvoked", "inner", "double"),
        ("ToolCompleted", "inner", "double"),
        ("ToolCompleted", "lead", "inner"),
    ]
