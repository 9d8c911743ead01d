"""Runs that are left in the middle of an inner team's turn: the outer team loses nothing of it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, cast

import pytest
from tests.support.examples import thinned
from tests.support.talkers import Failing, Streamer, Talker, texts

from teamrun.agents import AssistantAgent
from teamrun.conditions import MaxMessageTermination
from teamrun.core import AnyMessage, CancellationToken, Response, TaskResult
from teamrun.core.protocols import Task
from teamrun.messages import (
    BaseChatMessage,
    CreateResult,
    FunctionCall,
    LLMMessage,
    RequestUsage,
    TextMessage,
    ThoughtEvent,
)
from teamrun.teams import RoundRobinGroupChat, SelectorGroupChat
from teamrun.testing import ScriptedModel
from teamrun.tools import TeamTool

AnyTeam = RoundRobinGroupChat | SelectorGroupChat


class Society(Streamer):
    """An agent that passes its messages to a team, and answers with all of the team's messages."""

    def __init__(self, team: RoundRobinGroupChat) -> None:
        super().__init__("society", "A team that speaks as one.")
        self.team = team

    async def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        inner: list[AnyMessage] = []
        stream = self.team.run_stream(messages or None, output_task_messages=False)
        async for item in stream:
            if not isinstance(item, TaskResult):
                inner.append(item)
                yield item
        thought = ThoughtEvent(content="the team is done", source=self.name)
        yield thought
        text = "/".join(m.to_text() for m in inner if isinstance(m, BaseChatMessage))
        yield Response(
            chat_message=TextMessage(content=text, source=self.name),
            inner_messages=[*inner, thought],
        )

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        await self.team.reset()

    async def save_state(self) -> Mapping[str, Any]:
        return await self.team.save_state()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        await self.team.load_state(state)


class Foreign:
    """A foreign team that only implements the protocol."""

    name, description = "foreign", "A team behind a team."

    def __init__(self, team: RoundRobinGroupChat) -> None:
        self.team = team
        self.reset, self.pause, self.resume = team.reset, team.pause, team.resume
        self.save_state, self.load_state = team.save_state, team.load_state

    async def run(self, task: Task | None = None, **options: Any) -> TaskResult:
        return await self.team.run(task, **options)

    async def run_stream(
        self, task: Task | None = None, **options: Any
    ) -> AsyncGenerator[AnyMessage | TaskResult, None]:
        async for item in self.team.run_stream(task, **options):
            yield item


class Delegating(ScriptedModel):
    """Passes the last message to the tool `crew`, and then answers with the tool's result."""

    def __init__(self) -> None:
        super().__init__([])

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        last = messages[-1]
        content: str | list[FunctionCall] = str(last.content)
        if last.type == "UserMessage":
            arguments = json.dumps({"task": str(last.content)})
            content = [FunctionCall(id=str(len(messages)), arguments=arguments, name="crew")]
        usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
        return CreateResult(finish_reason="stop", content=content, usage=usage)


class Chooser(ScriptedModel):
    """Selects by the conversation, so that it keeps no state."""

    def __init__(self, *names: str) -> None:
        super().__init__([])
        self.names = names

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        turn = sum(str(messages[0].content).count(f"\n{name}:") for name in ("x", "y", "z"))
        usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
        name = self.names[turn % len(self.names)]
        return CreateResult(finish_reason="stop", content=name, usage=usage)


def thinker(name: str) -> Talker:
    return Talker(name, before=lambda: [ThoughtEvent(content="hm", source=name)])


def pair(name: str = "inner", **options: Any) -> RoundRobinGroupChat:
    return RoundRobinGroupChat(
        [thinker("x"), thinker("y")], name=name, max_turns=3, emit_team_events=True, **options
    )


def in_rounds(inner: Any) -> RoundRobinGroupChat:
    return RoundRobinGroupChat(
        [inner, thinker("z")],
        name="outer",
        termination_condition=MaxMessageTermination(30),
        max_turns=3,
        emit_team_events=True,
    )


def nested() -> AnyTeam:
    return in_rounds(pair())


def nested_by_count() -> AnyTeam:
    """The outer condition ends the run with the messages of the inner team's turn."""
    inner = RoundRobinGroupChat(
        [thinker("x"), thinker("y")], name="inner", termination_condition=MaxMessageTermination(4)
    )
    ends = MaxMessageTermination(6)
    return RoundRobinGroupChat([thinker("z"), inner], name="outer", termination_condition=ends)


def three_deep() -> AnyTeam:
    middle = RoundRobinGroupChat([pair(), thinker("w")], name="middle", max_turns=3)
    return in_rounds(middle)


def chosen() -> AnyTeam:
    inner = SelectorGroupChat(
        [thinker("x"), thinker("y")],
        Chooser("x", "y"),
        name="inner",
        max_turns=3,
        allow_repeated_speaker=True,
        emit_team_events=True,
    )
    return SelectorGroupChat(
        [inner, thinker("z")], Chooser("inner", "z"), name="outer", max_turns=3,
        emit_team_events=True,
    )  # fmt: skip


def society() -> AnyTeam:
    return in_rounds(Society(pair()))


def society_alone() -> AnyTeam:
    """The second turn of the society has no new messages."""
    return RoundRobinGroupChat([Society(pair())], max_turns=2)


def society_in_a_team_in_a_society() -> AnyTeam:
    return in_rounds(Society(RoundRobinGroupChat([Society(pair()), thinker("w")], max_turns=2)))


def by_tool() -> AnyTeam:
    crew = TeamTool(pair(), "crew", "Works.")
    agent = AssistantAgent("boss", Delegating(), tools=[crew], reflect_on_tool_use=True)
    return in_rounds(agent)


SHAPES: list[Callable[[], AnyTeam]] = [
    nested,
    nested_by_count,
    three_deep,
    chosen,
    society,
    society_alone,
    society_in_a_team_in_a_society,
    by_tool,
]


def copied(state: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(state))


def conversations(state: Any, path: str = "") -> dict[str, list[str]]:
    """The sent messages, and those not yet delivered, at every level of a state."""
    found: dict[str, list[str]] = {}
    if isinstance(state, dict):
        for key, value in cast("dict[str, Any]", state).items():
            if key in ("message_thread", "message_buffer", "messages"):
                found[f"{path}/{key}"] = [
                    f"{m.get('source')}: {m['type']}: {m.get('content')}" for m in value
                ]
            elif key != "run":
                found |= conversations(value, f"{path}/{key}")
    return found


async def whole(make: Callable[[], AnyTeam]) -> tuple[dict[str, list[str]], list[str], int]:
    team, count, result = make(), 0, None
    async for item in team.run_stream(task="go"):
        count, result = count + 1, item
    assert isinstance(result, TaskResult)
    return conversations(copied(await team.save_state())), [str(team.stop_code)], count - 1


WHOLE = {make.__name__: asyncio.run(whole(make)) for make in SHAPES}
AMBIGUOUS = [(society_alone, 22)]
"""An agent without new messages has a team whose run has ended, perhaps in this turn."""
PLACES = [
    (make, count)
    for make in SHAPES
    for count in range(1, WHOLE[make.__name__][2] + 1)
    if (make, count) not in AMBIGUOUS
]
MOVES = pytest.mark.parametrize("moves", [False, True], ids=["the same team", "by its state"])


async def left(make: Callable[[], AnyTeam], counts: Sequence[int], *, moves: bool) -> AnyTeam:
    """A team whose run was left after so many items, and then again after so many more."""
    team, task = make(), "go"
    for number, count in enumerate(counts):
        stream = team.run_stream(task=task if number == 0 else None)
        for _ in range(count):
            if isinstance(await anext(stream), TaskResult):
                return team
        state = copied(await team.save_state())
        await stream.aclose()
        if moves:
            team = make()
            await team.load_state(state)
    return team


@pytest.mark.parametrize(
    ("make", "count", "moves"),
    thinned([(*place, moves) for moves in (False, True) for place in PLACES]),
)
async def test_a_run_that_is_left_anywhere_continues_to_the_same_end(
    make: Callable[[], AnyTeam], count: int, moves: bool
) -> None:
    team = await left(make, [count], moves=moves)
    await team.run()
    said, codes, _ = WHOLE[make.__name__]
    assert conversations(copied(await team.save_state())) == said
    assert [team.stop_code] == codes


@pytest.mark.parametrize("make", SHAPES)
@MOVES
async def test_a_run_that_is_left_at_every_step_continues_to_the_same_end(
    make: Callable[[], AnyTeam], moves: bool
) -> None:
    said, codes, _ = WHOLE[make.__name__]
    for step in (4, 5, 7):
        team = await left(make, [step] * 40, moves=moves)
        await team.run() if team.stop_code is None else None
        assert conversations(copied(await team.save_state())) == said
        assert [team.stop_code] == codes


def thread_of(state: Mapping[str, Any], *path: str) -> list[str]:
    for name in path:
        state = state["agent_states"][name]["agent_state"]
    (manager,) = (part for name, part in state["agent_states"].items() if name.endswith("Manager"))
    return [m["content"] for m in manager["message_thread"] if m["type"] == "TextMessage"]


@pytest.mark.parametrize("count", range(1, 22))
@MOVES
async def test_messages_of_a_foreign_team_are_not_lost(count: int, moves: bool) -> None:
    def make() -> RoundRobinGroupChat:
        return in_rounds(Foreign(pair()))

    other = make()
    await other.run(task="go")
    team = await left(make, [count], moves=moves)
    await team.run()
    assert thread_of(await team.save_state()) == thread_of(await other.save_state())


@pytest.mark.parametrize("wraps", [False, True], ids=["own", "foreign"])
@MOVES
async def test_an_inner_run_that_ended_as_the_outer_one_was_cancelled_is_not_begun_again(
    wraps: bool, moves: bool
) -> None:
    token = CancellationToken()

    class Last(Talker):
        async def work(self, cancellation_token: CancellationToken | None) -> None:
            token.cancel()

    def make() -> RoundRobinGroupChat:
        inner = RoundRobinGroupChat([Talker("x"), Last("y")], name="inner", max_turns=2)
        return RoundRobinGroupChat(
            [Foreign(inner) if wraps else inner, Talker("z")], max_turns=2
        )  # it has the needed methods

    team = make()
    with pytest.raises(asyncio.CancelledError):
        await team.run(task="go", cancellation_token=token)
    if moves:
        state = copied(await team.save_state())
        team = make()
        await team.load_state(state)
    await team.run()
    said = thread_of(await team.save_state())
    shown = ["x 0"] if wraps else ["x 0", "y 0"]  # the other message got as far as the team
    assert said == ["go", *shown, "z 0"]


@MOVES
async def test_a_new_task_follows_the_messages_of_the_inner_team(moves: bool) -> None:
    team = await left(three_deep, [8], moves=moves)
    result = await team.run(task="another")
    state = copied(await team.save_state())
    assert thread_of(state)[:4] == ["go", "x 0", "y 0", "another"]
    assert thread_of(state, "middle")[:4] == ["go", "x 0", "y 0", "another"]
    assert thread_of(state, "middle", "inner")[:4] == ["go", "x 0", "y 0", "another"]
    later = [m.content for m in result.messages if isinstance(m, TextMessage)]
    assert thread_of(state)[3:] == later


async def test_the_turn_of_an_inner_team_continues_without_another_choice() -> None:
    model = ScriptedModel(["inner", "z"])
    inner = RoundRobinGroupChat([Talker("x"), Talker("y")], name="inner", max_turns=2)
    team = SelectorGroupChat([inner, Talker("z")], model, max_turns=2)
    stream = team.run_stream(task="go")
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    await team.run()
    assert thread_of(await team.save_state()) == ["go", "x 0", "y 0", "z 0"]


async def test_a_task_given_again_to_a_run_that_failed_continues_and_gives_the_whole_result() -> (
    None
):
    x, task = Talker("x"), TextMessage(content="go", source="user")
    team = RoundRobinGroupChat([x, Failing("y", LookupError("boom"))], max_turns=2)
    with pytest.raises(LookupError):
        await team.run(task=task)
    result = await team.run(task=task)
    assert (texts(result.messages), x.said) == (["user: go", "x: x 0", "y: y 0"], 1)
    again = await team.run(task=task)  # that run has ended: it is another one
    assert texts(again.messages) == ["user: go", "x: x 1", "y: y 1"]


async def test_a_tool_that_is_a_team_is_as_before_after_a_turn_that_was_cut_short() -> None:
    crew = pair()
    agent = AssistantAgent("boss", Delegating(), tools=[TeamTool(crew, "crew", "Works.")])
    before = copied(await crew.save_state())
    stream = agent.run_stream(task="go")
    for _ in range(6):
        await anext(stream)
    saved = copied(await agent.save_state())
    assert crew.messages_of_run()
    await stream.aclose()
    assert copied(await crew.save_state()) == before
    assert copied(await agent.save_state()) == saved


@pytest.mark.parametrize("name", ["nobody", "z"], ids=["unknown", "an agent"])
async def test_a_state_whose_turn_under_way_is_of_no_inner_team_is_refused(name: str) -> None:
    team = await left(nested, [6], moves=False)
    state = copied(await team.save_state())
    manager = state["agent_states"]["RoundRobinGroupChatManager"]
    assert manager["run"]["nested"] == ["inner"]
    manager["run"]["nested"] = name
    with pytest.raises(ValueError):
        await team.load_state(state)
    await team.run()
    assert conversations(copied(await team.save_state())) == WHOLE["nested"][0]
