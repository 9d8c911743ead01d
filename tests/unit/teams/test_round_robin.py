"""A round robin: delivery of messages, order of items, and the end."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.talkers import Failing, Talker, texts

from teamrun.conditions import (
    ExternalTermination,
    FunctionalTermination,
    MaxMessageTermination,
    TerminationCondition,
    TextMentionTermination,
    TimeoutTermination,
)
from teamrun.core import AnyMessage, CancellationToken, Response, TaskResult
from teamrun.errors import TeamBusy
from teamrun.messages import (
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    SelectSpeakerEvent,
    StopMessage,
    TextMessage,
    ThoughtEvent,
)
from teamrun.messages.origin import current_origin
from teamrun.teams import RoundRobinGroupChat


def thought() -> list[ThoughtEvent]:
    return [ThoughtEvent(content="hm", source="a")]


async def collect(team: RoundRobinGroupChat, task: str | None = None) -> list[object]:
    return [item async for item in team.run_stream(task)]


@pytest.mark.behaviour("team.delivery", "team.round_robin.order")
async def test_participants_take_turns_and_receive_new_messages() -> None:
    a, b, c = Talker("a"), Talker("b"), Talker("c")
    team = RoundRobinGroupChat([a, b, c], max_turns=4)

    result = await team.run(task="go")

    assert texts(result.messages) == ["user: go", "a: a 0", "b: b 0", "c: c 0", "a: a 1"]
    assert result.stop_reason == "Maximum number of turns 4 reached."
    assert team.stop_code == "max_turns"
    assert a.heard == [["user: go"], ["b: b 0", "c: c 0"]]
    assert b.heard == [["user: go", "a: a 0"]]
    assert c.heard == [["user: go", "a: a 0", "b: b 0"]]


@pytest.mark.behaviour("team.order")
async def test_a_stream_yields_the_task_then_each_thing_as_it_comes_then_the_result() -> None:
    team = RoundRobinGroupChat([Talker("a", before=thought), Talker("b")], max_turns=2)

    *messages, result = await collect(team, "go")

    assert [type(message).__name__ for message in messages] == [
        "TextMessage",
        "ThoughtEvent",
        "TextMessage",
        "TextMessage",
    ]
    assert isinstance(result, TaskResult)
    assert list(result.messages) == messages


@pytest.mark.behaviour("team.output_task_messages")
async def test_the_task_can_be_left_out_of_the_output() -> None:
    a = Talker("a")
    team = RoundRobinGroupChat([a], max_turns=1)

    result = await team.run(task="go", output_task_messages=False)

    assert texts(result.messages) == ["a: a 0"]
    assert a.heard == [["user: go"]]


async def test_a_message_is_passed_on_as_the_object_it_is() -> None:
    a, b = Talker("a"), Talker("b")
    task = TextMessage(content="go", source="user")

    result = await RoundRobinGroupChat([a, b], max_turns=2).run(task=task)

    assert result.messages[0] is task
    assert a.received[0] is task
    assert b.received[0] is task
    assert b.received[1] is result.messages[1]


@pytest.mark.behaviour("team.delivery")
async def test_events_are_yielded_and_not_delivered_to_others() -> None:
    a, b = Talker("a", before=thought), Talker("b")

    await RoundRobinGroupChat([a, b], max_turns=2).run("go")

    assert b.heard == [["user: go", "a: a 0"]]


@pytest.mark.behaviour("team.inner_messages")
async def test_inner_messages_reach_the_termination_condition_and_not_the_others() -> None:
    def inner() -> Sequence[AnyMessage]:
        return [TextMessage(content="inner SECRET", source="a")]

    a, b = Talker("a", inner=inner), Talker("b")
    team = RoundRobinGroupChat([a, b], termination_condition=TextMentionTermination("SECRET"))

    result = await team.run("go")

    assert texts(result.messages) == [
        "user: go",
        "a: a 0",
    ]  # only yielded items
    assert result.stop_reason == "Text 'SECRET' mentioned"
    assert b.heard == []


@pytest.mark.behaviour("team.chunks")
async def test_pieces_of_a_streamed_answer_are_yielded_and_not_in_the_result() -> None:
    def pieces() -> Sequence[AnyMessage]:
        return [ModelClientStreamingChunkEvent(content="a", source="a")]

    team = RoundRobinGroupChat([Talker("a", before=pieces)], max_turns=1)

    items = await collect(team, "go")

    assert [type(item).__name__ for item in items] == [
        "TextMessage",
        "ModelClientStreamingChunkEvent",
        "TextMessage",
        "TaskResult",
    ]
    result = items[-1]
    assert isinstance(result, TaskResult)
    assert texts(result.messages) == ["user: go", "a: a 0"]


@dataclass(frozen=True)
class Stop:
    id: str
    condition: TerminationCondition
    max_turns: int | None
    said: list[str]
    reason: str
    code: str


@pytest.mark.behaviour(
    "team.termination.task",
    "team.termination.before_max_turns",
    "team.max_turns",
    "team.stop_code",
    "condition.max_messages",
)
@pytest.mark.parametrize(
    "case",
    [
        Stop(
            "on the task",
            TextMentionTermination("go"),
            None,
            ["user: go"],
            "Text 'go' mentioned",
            "text_mention",
        ),
        Stop(
            "after a turn",
            TextMentionTermination("b 0"),
            None,
            ["user: go", "a: a 0", "b: b 0"],
            "Text 'b 0' mentioned",
            "text_mention",
        ),
        Stop(
            "the condition before max_turns",
            MaxMessageTermination(3),
            2,
            ["user: go", "a: a 0", "b: b 0"],
            "Maximum number of messages 3 reached, current message count: 3",
            "max_messages",
        ),
        Stop(
            "the first of two",
            MaxMessageTermination(9) | TextMentionTermination("a 0"),
            None,
            ["user: go", "a: a 0"],
            "Text 'a 0' mentioned",
            "text_mention",
        ),
        Stop(
            "max_turns",
            MaxMessageTermination(9),
            1,
            ["user: go", "a: a 0"],
            "Maximum number of turns 1 reached.",
            "max_turns",
        ),
    ],
    ids=lambda case: case.id,
)
async def test_a_run_stops_with_a_reason_and_a_code_and_can_run_again(case: Stop) -> None:
    team = RoundRobinGroupChat(
        [Talker("a"), Talker("b")],
        termination_condition=case.condition,
        max_turns=case.max_turns,
    )
    first = await team.run("go")
    assert team.stop_code == case.code
    await team.reset()
    first, second = [first, await team.run("go")]
    assert texts(first.messages) == case.said
    assert first.stop_reason == case.reason
    assert texts(second.messages) == case.said
    assert second.stop_reason == case.reason


@pytest.mark.behaviour("team.stop_message")
async def test_a_stop_message_of_an_agent_ends_the_run_only_with_a_condition_for_it() -> None:
    class Stopper(Talker):
        async def on_messages_stream(
            self,
            messages: Sequence[BaseChatMessage],
            cancellation_token: CancellationToken | None = None,
        ) -> AsyncGenerator[AnyMessage | Response, None]:
            yield Response(chat_message=StopMessage(content="enough", source=self.name))

    result = await RoundRobinGroupChat([Stopper("a")], max_turns=2).run("go")

    assert texts(result.messages) == ["user: go", "a: enough", "a: enough"]


@pytest.mark.behaviour("condition.external")
async def test_external_termination_ends_the_run_after_the_present_turn() -> None:
    stop = ExternalTermination()
    team = RoundRobinGroupChat([Talker("a"), Talker("b")], termination_condition=stop)
    items: list[object] = []
    async for item in team.run_stream("go"):
        items.append(item)
        if isinstance(item, TextMessage) and item.content == "b 0":
            stop.set()

    assert team.stop_code == "external"
    result = items[-1]
    assert isinstance(result, TaskResult)
    assert texts(result.messages) == ["user: go", "a: a 0", "b: b 0"]
    assert result.stop_reason == "External termination requested"


class Clock:
    """A time that each message moves on by ten seconds."""

    def __init__(self) -> None:
        self.time = datetime(2030, 1, 1, tzinfo=UTC)

    def new_id(self) -> str:
        self.time += timedelta(seconds=10)
        return str(self.time)

    def now(self) -> datetime:
        return self.time


@pytest.mark.behaviour("condition.timeout")
async def test_the_clock_of_a_timeout_starts_with_the_run() -> None:
    clock = Clock()
    current_origin.set(clock)
    team = RoundRobinGroupChat(
        [Talker("a"), Talker("b")], termination_condition=TimeoutTermination(15)
    )
    clock.time += timedelta(hours=1)
    result = await team.run()

    assert texts(result.messages) == ["a: a 0", "b: b 0"]
    assert result.stop_reason == "Timeout of 15 seconds reached"


@pytest.mark.behaviour("team.continue", "team.round_robin.order")
async def test_the_order_carries_on_from_run_to_run_and_begins_anew_after_reset() -> None:
    a, b = Talker("a"), Talker("b")
    team = RoundRobinGroupChat([a, b], max_turns=1)
    runs = [await team.run("go"), await team.run(), await team.run("more")]
    await team.reset()
    runs.append(await team.run("again"))
    assert a.log == ["reset"]
    assert b.heard == [["user: go", "a: a 0"]]
    assert a.heard[-1] == ["user: again"]
    assert [texts(run.messages) for run in runs] == [
        ["user: go", "a: a 0"],
        ["b: b 0"],
        ["user: more", "a: a 1"],
        ["user: again", "a: a 0"],
    ]


@pytest.mark.behaviour("team.fired_condition")
async def test_a_condition_that_has_fired_before_ends_the_run_at_once() -> None:
    condition = TextMentionTermination("x")
    await condition([TextMessage(content="x", source="user")])
    team = RoundRobinGroupChat([Talker("a")], termination_condition=condition, max_turns=1)
    result = await team.run("go")
    assert team.stop_code == "text_mention"
    assert await team.run("go") == result  # until it is reset

    assert list(result.messages) == []
    assert result.stop_reason == "The group chat has already terminated."


@pytest.mark.behaviour("team.speaker_events")
async def test_the_selected_speaker_is_yielded_on_request() -> None:
    team = RoundRobinGroupChat([Talker("a"), Talker("b")], max_turns=2, emit_team_events=True)

    result = await team.run("go")

    assert texts(result.messages) == [
        "user: go",
        "SelectSpeakerEvent",
        "a: a 0",
        "SelectSpeakerEvent",
        "b: b 0",
    ]
    event = result.messages[1]
    assert isinstance(event, SelectSpeakerEvent)
    assert event.content == ["a"]
    assert event.source == "RoundRobinGroupChatManager"


async def test_an_observer_is_notified_of_each_turn_in_order() -> None:
    log: list[object] = []

    class Observer:
        def turn_started(self, turn: int, agent: str) -> None:
            log.append(("started", turn, agent))

        def turn_completed(self, turn: int, agent: str) -> None:
            log.append(("completed", turn, agent))

        def speaker_selected(self, speakers: list[str]) -> None:
            log.append(("selected", speakers))

    team = RoundRobinGroupChat([Talker("a"), Talker("b")], max_turns=2)
    team.observer = Observer()
    async for item in team.run_stream("go"):
        if isinstance(item, TaskResult):
            break
        log.append(item.to_text())

    assert log == [
        "go",
        ("started", 1, "a"),
        "a 0",
        ("completed", 1, "a"),
        ("started", 2, "b"),
        "b 0",
        ("completed", 2, "b"),
    ]


@pytest.mark.behaviour("team.busy")
async def test_a_second_run_while_running_is_refused_in_autogens_words() -> None:
    team = RoundRobinGroupChat([Talker("a")], max_turns=2)
    stream = team.run_stream("go")
    await anext(stream)

    with pytest.raises(TeamBusy) as caught:
        await team.run("again")
    assert str(caught.value).startswith(
        "The team is already running, it cannot run again until it is stopped."
    )
    with pytest.raises(RuntimeError):
        await team.reset()
    with pytest.raises(TeamBusy):
        await team.load_state(await team.save_state())

    rest = [item async for item in stream]
    assert isinstance(rest[-1], TaskResult)
    await team.run("again")


@pytest.mark.behaviour("team.task")
async def test_a_task_may_be_a_text_a_message_or_several() -> None:
    team = RoundRobinGroupChat([Talker("a")], termination_condition=MaxMessageTermination(1))
    one = TextMessage(content="one", source="user")
    two = TextMessage(content="two", source="boss")
    tasks = ["go", one, [one, two]]
    assert [texts((await team.run(task)).messages) for task in tasks] == [
        ["user: go"],
        ["user: one"],
        ["user: one", "boss: two"],
    ]


@pytest.mark.behaviour("team.task")
async def test_an_empty_task_list_is_refused_and_the_team_stays_usable() -> None:
    team = RoundRobinGroupChat([Talker("a")], max_turns=1)
    with pytest.raises(ValueError) as raised:
        await team.run([])
    assert str(raised.value) == "Task list cannot be empty."
    await team.run("go")


@pytest.mark.behaviour("team.participants")
def test_participants_need_names_of_their_own() -> None:
    with pytest.raises(ValueError):
        RoundRobinGroupChat([Talker("a"), Talker("a")])
    with pytest.raises(ValueError) as raised:
        RoundRobinGroupChat([])
    assert str(raised.value) == "At least one participant is required."
    with pytest.raises(TypeError):
        RoundRobinGroupChat(["a"])  # pyright: ignore[reportArgumentType] - intended


@pytest.mark.behaviour("team.agents_alias")
def test_agents_is_another_name_of_participants() -> None:
    a = Talker("a")

    assert RoundRobinGroupChat(agents=[a]).participants == (a,)
    with pytest.raises(TypeError):
        RoundRobinGroupChat([a], agents=[a])


@pytest.mark.behaviour("team.names")
def test_names_and_descriptions_have_defaults() -> None:
    plain = RoundRobinGroupChat([Talker("a")])
    named = RoundRobinGroupChat([Talker("a")], name="analysts", description="They analyse.")

    assert (plain.name, plain.description) == ("RoundRobinGroupChat", "A team of agents.")
    assert (named.name, named.description) == ("analysts", "They analyse.")


@pytest.mark.behaviour("team.pause")
async def test_participants_are_notified_of_pause_and_resume_once_the_team_has_run() -> None:
    a, b = Talker("a"), Talker("b")
    team = RoundRobinGroupChat([a, b], max_turns=1)
    for act, done in ((team.pause, "paused"), (team.resume, "resumed")):
        with pytest.raises(RuntimeError) as raised:
            await act()
        assert str(raised.value) == (
            f"The group chat has not been initialized. It must be run before it can be {done}."
        )
    await team.run("go")
    await team.pause()
    await team.resume()
    assert a.log == b.log == ["pause", "resume"]


async def test_an_agent_without_a_response_is_named() -> None:
    class Mute(Talker):
        async def on_messages_stream(
            self,
            messages: Sequence[BaseChatMessage],
            cancellation_token: CancellationToken | None = None,
        ) -> AsyncGenerator[AnyMessage | Response, None]:
            yield ThoughtEvent(content="hm", source=self.name)

    with pytest.raises(RuntimeError):
        await RoundRobinGroupChat([Mute("mute")]).run("go")


@pytest.mark.behaviour("team.error")
async def test_the_exception_of_an_agent_comes_out_as_it_is() -> None:
    error = LookupError("boom")
    a = Failing("a", error)
    team = RoundRobinGroupChat([a, Talker("b")], max_turns=2)
    with pytest.raises(LookupError) as caught:
        await team.run("go")
    assert caught.value is error
    result = await team.run()

    assert texts(result.messages) == ["a: a 0", "b: b 0"]
    assert a.heard == [["user: go"], ["user: go"]]  # the turn was taken again


@pytest.mark.behaviour("team.error.condition")
async def test_the_exception_of_a_condition_comes_out_as_it_is() -> None:
    error = LookupError("boom")

    def check(_messages: Sequence[AnyMessage]) -> bool:
        raise error

    team = RoundRobinGroupChat([Talker("a")], termination_condition=FunctionalTermination(check))

    with pytest.raises(LookupError) as caught:
        await team.run("go")
    assert caught.value is error


async def test_a_caller_that_leaves_the_stream_finds_what_it_saw_in_the_state() -> None:
    a, b = Talker("a"), Talker("b")
    team = RoundRobinGroupChat([a, b], max_turns=2)
    stream = team.run_stream("go")
    async for item in stream:
        if isinstance(item, TextMessage) and item.source == "a":
            break
    await stream.aclose()
    result = await team.run()
    assert b.heard == [["user: go", "a: a 0"]]
    assert texts(result.messages) == ["b: b 0"]
