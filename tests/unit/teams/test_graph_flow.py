"""Teams whose order is a graph. The speakers and reasons are those of AutoGen 0.7.5."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.talkers import Failing, Passer, Stuck, Talker, texts

from teamrun.conditions import HandoffTermination, MaxMessageTermination, TextMentionTermination
from teamrun.core import CancellationToken, TaskResult
from teamrun.messages import BaseChatMessage, SelectSpeakerEvent
from teamrun.teams import DiGraphBuilder, GraphFlow, RoundRobinGroupChat

COMPLETE = "Digraph execution is complete"
DIAMOND = "ab ac bd cd"


def edges(text: str, **options: Any) -> list[tuple[str, str, dict[str, Any]]]:
    return [(pair[0], pair[1], options) for pair in text.split()]


def flow(
    agents: Sequence[Any], ways: Sequence[Any], *, start: str = "", **options: Any
) -> GraphFlow:
    builder = DiGraphBuilder()
    for agent in agents:
        builder.add_node(agent)
    for source, target, more in ways:
        builder.add_edge(source, target, **more)
    if start:
        builder.set_entry_point(start)
    return GraphFlow(builder.get_participants(), builder.build(), **options)


def diamond(b: Talker | None = None, c: Talker | None = None, **options: Any) -> GraphFlow:
    agents = [Talker("a"), b or Talker("b"), c or Talker("c"), Talker("d")]
    return flow(agents, edges(DIAMOND), **options)


def sources(result: TaskResult) -> str:
    return "".join(message.source for message in result.messages if message.source != "user")


def says(word: str) -> Callable[[BaseChatMessage], bool]:
    return lambda message: word in message.to_text()


@dataclass(frozen=True)
class Case:
    id: str
    ways: list[tuple[str, str, dict[str, Any]]]
    runs: list[tuple[str, str]]
    """The speakers of each run, and why it ended."""
    lines: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    start: str = ""
    options: dict[str, Any] = field(default_factory=dict[str, Any])


LOOP: dict[str, Any] = {"lines": {"b": ["no", "no", "APPROVE"]}, "start": "a"}
ANY = {"activation_condition": "any"}
TURNS = "Maximum number of turns 2 reached."
CASES = [
    Case("a sequence, again and again", edges("ab bc"), [("abc", COMPLETE)] * 3),
    Case("a join of all", edges(DIAMOND), [("abcd", COMPLETE)] * 2),
    Case("a join of any", edges("ab ac") + edges("bd cd", **ANY), [("abcd", COMPLETE)]),
    Case(
        "a join of any, of different lengths",
        edges("ab ac ce") + edges("bd ed", **ANY),
        [("abcded", COMPLETE)],
    ),
    Case(
        "two groups",
        [
            *edges("ab ac"),
            ("b", "d", {"activation_group": "x"}),
            ("c", "d", {"activation_group": "y"}),
        ],
        [("abcdd", COMPLETE)],
    ),
    Case(
        "a loop with texts",
        edges("ab") + edges("ba", condition="no") + edges("bc", condition="APPROVE"),
        [("abababc", COMPLETE)],
        options={"max_turns": 20},
        **LOOP,
    ),
    Case(
        "a loop with functions",
        edges("ab") + edges("ba", condition=says("no")) + edges("bc", condition=says("APPROVE")),
        [("abababc", COMPLETE)],
        options={"termination_condition": MaxMessageTermination(20)},
        **LOOP,
    ),
    Case(
        "a loop of any",
        [
            *edges("ab", activation_group="g", **ANY),
            *edges("bc bd"),
            *edges("db", activation_group="g", condition="loop", **ANY),
            *edges("de", condition="exit"),
        ],
        [("abcdbcde", COMPLETE)],
        lines={"d": ["loop", "exit"]},
        options={"max_turns": 15},
    ),
    Case(
        "a loop with a group for each way in",
        [
            *edges("ab", activation_group="initial"),
            *edges("bc"),
            *edges("cb", activation_group="feedback", condition="loop"),
            *edges("ce", condition="exit"),
        ],
        [("abcbce", COMPLETE)],
        lines={"c": ["loop", "exit"]},
        options={"max_turns": 15},
    ),
    Case("several starts", edges("ac bc"), [("abc", COMPLETE)]),
    Case("no way on", edges("ab", condition="x") + edges("ac", condition="y"), [("a", COMPLETE)]),
    Case(
        "an end in the middle, continued",
        edges("ab bc cd"),
        [("ab", TURNS), ("cd", COMPLETE), ("ab", TURNS)],
        options={"max_turns": 2},
    ),
    Case(
        "a condition in the middle, continued",
        edges("ab bc cd"),
        [("ab", "Text 'b 0' mentioned"), ("cd", COMPLETE)],
        options={"termination_condition": TextMentionTermination("b 0")},
    ),
    Case(
        "the end of the graph comes before a condition",
        edges("ab"),
        [("ab", COMPLETE)],
        options={"termination_condition": TextMentionTermination("b 0")},
    ),
]


@pytest.mark.behaviour("team.graph.join", "team.graph.complete")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_the_edges_select_the_speakers(case: Case) -> None:
    names = sorted({name for way in case.ways for name in way[:2]})
    agents = [Talker(name, *case.lines.get(name, [])) for name in names]
    team = flow(agents, case.ways, start=case.start, **case.options)

    for said, reason in case.runs:
        result = await team.run(task="go")
        assert (sources(result), result.stop_reason) == (said, reason)
    assert team.stop_code == ("max_turns" if case.runs[-1][1] == TURNS else "graph_complete")


async def test_those_who_speak_at_the_same_time_hear_each_other_later() -> None:
    a, b, c, d = (Talker(name) for name in "abcd")
    team = flow([a, b, c, d], edges(DIAMOND))
    await team.run(task="go")
    await team.run(task="go")

    assert b.heard == [["user: go", "a: a 0"], ["c: c 0", "d: d 0", "user: go", "a: a 1"]]
    assert c.heard == [["user: go", "a: a 0"], ["b: b 0", "d: d 0", "user: go", "a: a 1"]]
    assert d.heard[0] == ["user: go", "a: a 0", "b: b 0", "c: c 0"]


@pytest.mark.behaviour("team.graph.concurrent")
async def test_they_really_speak_at_the_same_time_and_in_the_order_in_which_they_end() -> None:
    b, c = Stuck("b"), Stuck("c")
    running = asyncio.ensure_future(diamond(b, c).run(task="go"))
    await b.started.wait()
    await c.started.wait()
    c.go.set()
    await asyncio.sleep(0)
    b.go.set()

    assert sources(await running) == "acbd"


@pytest.mark.behaviour("team.graph.concurrent", "team.graph.condition_sees_all")
async def test_a_turn_counts_once_for_all_who_share_it_and_the_condition_sees_all() -> None:
    assert sources(await diamond(max_turns=2).run(task="go")) == "abc"
    # AutoGen's condition sees only the message of the last one, and continues with d.
    four = await diamond(termination_condition=MaxMessageTermination(4)).run(task="go")
    assert (sources(four), four.stop_reason) == (
        "abc",
        "Maximum number of messages 4 reached, current message count: 4",
    )


@pytest.mark.behaviour("team.graph.speaker_events")
async def test_the_speakers_of_a_step_are_one_event() -> None:
    stream = diamond(emit_team_events=True).run_stream(task="go")
    chosen = [item.content async for item in stream if isinstance(item, SelectSpeakerEvent)]

    assert chosen == [["a"], ["b", "c"], ["d"]]


async def test_a_failure_cancels_the_others_and_the_next_run_repeats_their_turns() -> None:
    b, c = Failing("b", ValueError("broken")), Stuck("c")
    team = diamond(b, c)
    with pytest.raises(ValueError, match="broken"):
        await team.run(task="go")
    assert c.was_cancelled

    c.go.set()
    assert sources(await team.run()) in ("bcd", "cbd")


@pytest.mark.behaviour("team.graph.resume")
@pytest.mark.parametrize("moves", [False, True], ids=["the same team", "another, by its state"])
@pytest.mark.parametrize("task", [None, "more"])
async def test_a_run_that_was_cancelled_in_a_step_continues_with_those_who_had_not_spoken(
    moves: bool, task: str | None
) -> None:
    b, c, token = Stuck("b"), Talker("c"), CancellationToken()
    team = diamond(b, c)
    with pytest.raises(asyncio.CancelledError):
        async for item in team.run_stream(task="go", cancellation_token=token):
            if isinstance(item, BaseChatMessage) and item.source == "c":
                token.cancel()

    if moves:
        state = await team.save_state()
        manager: Any = state["agent_states"]["GraphManager"]
        assert (manager["active_nodes"], manager["ready"]) == (["b"], ["b"])
        assert [name for name, _ in manager["unheard"]] == ["b"]
        b, c = Stuck("b"), Talker("c")
        team = diamond(b, c)
        await team.load_state(state)
    b.go.set()
    result = await team.run(task=task)

    assert (sources(result), result.stop_reason) == ("bd", COMPLETE)
    assert b.heard[-1] == ["user: go", "a: a 0", *(["c: c 0", "user: more"] if task else [])]


@pytest.mark.behaviour("team.graph.resume")
@pytest.mark.parametrize("count", range(1, 6))
@pytest.mark.parametrize("moves", [False, True])
async def test_a_run_that_is_left_anywhere_continues_to_the_same_end(
    count: int, moves: bool
) -> None:
    team = diamond()
    stream = team.run_stream(task="go")
    seen = [await anext(stream) for _ in range(count)]
    await stream.aclose()
    if moves:
        other = diamond()
        await other.load_state(await team.save_state())
        team = other
    result = await team.run()

    assert all(isinstance(item, BaseChatMessage) for item in seen)
    said = {
        item.to_text() for item in [*seen, *result.messages] if isinstance(item, BaseChatMessage)
    }
    assert said >= {"go", "a 0", "d 0"}
    assert result.stop_reason == COMPLETE


def of_autogen(state: Any, **manager: Any) -> Any:
    """The state as AutoGen writes it, with other values."""
    states = dict(state["agent_states"])
    known = ("message_thread", "current_turn", "remaining", "enqueued_any", "ready")
    states["GraphManager"] = {key: states["GraphManager"][key] for key in known} | manager
    return {**state, "agent_states": states}


@pytest.mark.behaviour("team.graph.state")
async def test_the_state_is_autogens() -> None:
    team = diamond(max_turns=2)
    await team.run(task="go")
    state: Any = await team.save_state()

    manager = state["agent_states"]["GraphManager"]
    assert manager["remaining"] == {"b": {"b": 1}, "c": {"c": 1}, "d": {"d": 0}}
    assert manager["enqueued_any"] == {name: {name: False} for name in "bcd"}
    assert manager["ready"] == ["d"]
    other = diamond()
    await other.load_state(of_autogen(state))
    assert sources(await other.run()) == "d"
    assert sources(await other.run(task="again")) == "abcd"


@pytest.mark.behaviour("team.graph.resume")
@pytest.mark.parametrize(("spoken", "left"), [(1, "abcd"), (2, "bcd"), (3, "cd"), (4, "d")])
async def test_a_state_of_autogen_from_within_a_turn_continues_that_turn(
    spoken: int, left: str
) -> None:
    team = diamond()
    await team.run(task="go")
    state: Any = await team.save_state()
    thread = state["agent_states"]["GraphManager"]["message_thread"][:spoken]
    other = diamond()
    # AutoGen 0.7.5 saves no node whose turn is under way, and ends the graph after loading.
    await other.load_state(of_autogen(state, ready=[], message_thread=thread))

    result = await other.run()
    assert (sources(result), result.stop_reason) == (left, COMPLETE)


@pytest.mark.parametrize(
    ("ready", "left", "speakers"),
    [("d", 0, "d"), ("d", -1, "d"), ("bc", 0, "bcd"), ("bc", -1, "bcd")],
)
async def test_groups_that_autogen_has_not_counted_anew_begin_again(
    ready: str, left: int, speakers: str
) -> None:
    team = diamond()
    remaining = {"b": {"b": 1}, "c": {"c": 1}, "d": {"d": left}}

    # AutoGen 0.7.5 decrements below 0, and after loading counts no group anew.
    state: Any = of_autogen(await team.save_state(), ready=[*ready], remaining=remaining)
    await team.load_state(state)

    assert sources(await team.run()) == speakers
    assert sources(await team.run(task="again")) == "abcd"


@pytest.mark.parametrize(
    "manager",
    [
        {"ready": ["z"]},
        {"active_nodes": ["d"]},
        {"remaining": {"b": {"b": 1}}},
        {"enqueued_any": {}},
    ],
)
async def test_the_state_of_another_graph_is_refused(manager: dict[str, Any]) -> None:
    team = diamond()
    state: Any = await team.save_state()
    with pytest.raises(ValueError, match="of another graph"):
        await team.load_state(of_autogen(state, **manager))
    assert await team.save_state() == state


async def test_after_a_reset_the_graph_begins_anew() -> None:
    team = diamond(max_turns=2)
    await team.run(task="go")
    await team.reset()
    assert sources(await team.run(task="go")) == "abc"


async def test_the_agent_that_asked_a_person_speaks_again_before_the_next_node() -> None:
    d = Talker("d")
    agents = [Passer("a"), Passer("b", ">user", "x"), Talker("c"), d]
    ways = [*edges("ab ac"), *edges("bd cd", **ANY)]
    team = flow(agents, ways, termination_condition=HandoffTermination("user"))
    assert sources(await team.run(task="go")) == "abc"
    assert await team.reopen("b")

    result = await team.run(task="the answer")
    assert (sources(result), result.stop_reason) == ("bd", COMPLETE)
    assert d.heard[0][-1] == "b: x"  # it waited, although c had made it ready


async def test_a_graph_is_a_member_of_another_team() -> None:
    team = RoundRobinGroupChat([diamond(), Talker("z")], max_turns=2)
    assert sources(await team.run(task="go")) == "abcdz"


def agents(names: str = "ab") -> list[Talker]:
    return [Talker(name) for name in names]


GRAPH = DiGraphBuilder().add_node(Talker("a")).build()
CYCLE = (
    DiGraphBuilder()
    .add_node(Talker("a"))
    .add_node(Talker("b"))
    .add_node(Talker("c"))
    .add_edge("a", "b")
    .add_edge("b", "a", condition="x")
    .add_edge("b", "c", condition="y")
    .set_entry_point("a")
    .build()
)


@pytest.mark.behaviour("team.graph.validation.early", "team.graph.cycle")
@pytest.mark.parametrize(
    ("participants", "graph", "error", "says"),
    [
        (agents(), None, TypeError, "graph must be a DiGraph"),
        ([diamond()], GRAPH, TypeError, "must be a ChatAgent; GraphFlow takes no teams"),
        (agents("b"), GRAPH, ValueError, "Speaker a not found in participant names"),
        (agents("abc"), CYCLE, ValueError, "A termination condition is required for cyclic"),
    ],
)
def test_a_graph_that_does_not_fit_the_participants_is_refused(
    participants: Any, graph: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        GraphFlow(participants, graph)


async def test_messages_are_those_of_the_speakers_in_the_order_of_the_conversation() -> None:
    assert texts((await diamond().run(task="go")).messages) == [
        "user: go",
        *(f"{name}: {name} 0" for name in "abcd"),
    ]
