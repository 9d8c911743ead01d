"""State is JSON in AutoGen's layout, and a team loaded from it continues."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from tests.support.talkers import Stuck, Talker, texts

from teamrun.agents import AssistantAgent
from teamrun.conditions import (
    ExternalTermination,
    MaxMessageTermination,
    TerminationCondition,
    TimeoutTermination,
    TokenUsageTermination,
)
from teamrun.core import CancellationToken
from teamrun.messages import BaseChatMessage, StructuredMessage, TextMessage
from teamrun.teams import DiGraphBuilder, GraphFlow, RoundRobinGroupChat
from teamrun.testing import ScriptedModel


def build(
    *, max_turns: int | None = 1, condition: TerminationCondition | None = None
) -> tuple[RoundRobinGroupChat, Talker, Talker]:
    a, b = Talker("a"), Talker("b")
    team = RoundRobinGroupChat([a, b], max_turns=max_turns, termination_condition=condition)
    return team, a, b


async def saved(team: RoundRobinGroupChat) -> dict[str, Any]:
    return json.loads(json.dumps(await team.save_state()))


@pytest.mark.behaviour("state.layout", "team.round_robin.state")
async def test_the_state_has_autogens_layout() -> None:
    team, _, _ = build()
    await team.run(TextMessage(content="go", source="user", id="m1"))
    state = await saved(team)

    assert {key: state[key] for key in ("type", "version")} == {
        "type": "TeamState",
        "version": "1.0.0",
    }
    agents = state["agent_states"]
    assert list(agents) == ["a", "b", "RoundRobinGroupChatManager"]
    assert agents["a"] == {
        "type": "ChatAgentContainerState",
        "version": "1.0.0",
        "agent_state": {"type": "TalkerState", "said": 1},
        "message_buffer": [],
    }
    assert [message["content"] for message in agents["b"]["message_buffer"]] == ["go", "a 0"]
    manager = agents["RoundRobinGroupChatManager"]
    assert manager["type"] == "RoundRobinManagerState"
    assert manager["current_turn"] == 0
    assert manager["next_speaker_index"] == 1
    assert [message["type"] for message in manager["message_thread"]] == ["TextMessage"] * 2
    assert manager["message_thread"][0]["id"] == "m1"


@pytest.mark.behaviour("state.continue")
async def test_a_loaded_team_continues_with_the_next_speaker_and_its_messages() -> None:
    first, _, _ = build()
    await first.run("go")
    second, a, b = build()
    await second.load_state(await saved(first))
    assert a.said == 1

    result = await second.run()

    assert texts(result.messages) == ["b: b 0"]
    assert b.heard == [["user: go", "a: a 0"]]
    assert (await second.save_state())["agent_states"]["a"]["message_buffer"][0]["source"] == "b"


@pytest.mark.behaviour("state.counts")
async def test_counts_of_a_run_that_was_cut_short_are_saved_and_continue() -> None:
    a, b = Talker("a"), Stuck("b")
    condition = MaxMessageTermination(4)
    team = RoundRobinGroupChat([a, b], termination_condition=condition, max_turns=9)
    token = CancellationToken()
    running = asyncio.ensure_future(team.run("go", cancellation_token=token))
    await b.started.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    state = await saved(team)
    assert state["agent_states"]["RoundRobinGroupChatManager"]["current_turn"] == 1

    second, _, _ = build(max_turns=9, condition=MaxMessageTermination(4))
    await second.load_state(state)
    result = await second.run()
    assert result.stop_reason == ("Maximum number of messages 4 reached, current message count: 4")
    assert texts(result.messages) == ["b: b 0", "a: a 1"]


@pytest.mark.behaviour("state.counts")
async def test_turns_of_a_run_that_was_cut_short_are_saved_and_continue() -> None:
    first, _, _ = build(max_turns=2)
    stream = first.run_stream("go")
    await anext(stream)
    await anext(stream)
    state = await saved(first)
    await stream.aclose()

    second, _, _ = build(max_turns=2)
    await second.load_state(state)
    assert texts((await second.run()).messages) == ["b: b 0"]


@pytest.mark.behaviour("state.counts.new_task")
async def test_a_new_task_for_a_loaded_team_counts_anew() -> None:
    first, _, _ = build(max_turns=9, condition=MaxMessageTermination(4))
    stream = first.run_stream("go")
    await anext(stream)
    await anext(stream)  # a has had its turn, and the run continues
    state = await saved(first)
    await stream.aclose()

    second, _, _ = build(max_turns=9, condition=MaxMessageTermination(4))
    await second.load_state(state)
    assert texts((await second.run("new")).messages) == ["user: new", "b: b 0", "a: a 1", "b: b 1"]


async def test_turns_of_a_loaded_team_count_anew_with_a_new_task() -> None:
    first, _, _ = build(max_turns=2)
    stream = first.run_stream("go")
    await anext(stream)
    await anext(stream)
    state = await saved(first)
    await stream.aclose()

    second, _, _ = build(max_turns=2)
    await second.load_state(state)
    assert texts((await second.run("new")).messages) == ["user: new", "b: b 0", "a: a 1"]


@pytest.mark.behaviour("state.autogen")
async def test_state_without_counts_resets_the_condition() -> None:
    first, _, _ = build()
    await first.run("go")
    state = await saved(first)
    del state["agent_states"]["RoundRobinGroupChatManager"]["termination"]  # as AutoGen writes

    condition = MaxMessageTermination(2)
    await condition([TextMessage(content="x", source="user")])
    second, _, _ = build(max_turns=None, condition=condition)
    await second.load_state(state)

    assert texts((await second.run()).messages) == ["b: b 0", "a: a 1"]


@pytest.mark.behaviour("state.counts.new_task")
async def test_a_run_that_has_ended_saves_no_counts() -> None:
    team, _, _ = build(condition=TimeoutTermination(60))
    await team.run("go")
    state = await team.save_state()

    assert state["agent_states"]["RoundRobinGroupChatManager"]["termination"] is None


@pytest.mark.behaviour("state.other_team")
async def test_the_state_of_another_team_is_refused() -> None:
    first, _, _ = build()
    other = RoundRobinGroupChat([Talker("a"), Talker("c")])
    with pytest.raises(ValueError) as raised:
        await other.load_state(await first.save_state())
    assert str(raised.value) == "Agent state for c not found in the saved state."


class Verdict(BaseModel):
    approved: bool


class Judge(Talker):
    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage, StructuredMessage[Verdict])


@pytest.mark.behaviour("state.structured")
async def test_structured_messages_are_loaded_as_the_class_that_the_agents_produce() -> None:
    task = StructuredMessage[Verdict](content=Verdict(approved=True), source="user")
    first = RoundRobinGroupChat([Judge("a"), Judge("b")], max_turns=1)
    await first.run(task)

    b = Judge("b")
    second = RoundRobinGroupChat([Judge("a"), b], max_turns=1)
    await second.load_state(await saved(first))
    await second.run()

    assert b.received[0] == task
    assert type(b.received[0]) is StructuredMessage[Verdict]


@pytest.mark.behaviour("team.custom_messages")
async def test_custom_message_types_are_loaded() -> None:
    class Memo(TextMessage):
        type: str = "Memo"  # type: ignore[assignment]

    first = RoundRobinGroupChat([Talker("a"), Talker("b")], max_turns=1)
    await first.run(Memo(content="go", source="user"))
    state = await saved(first)

    plain = RoundRobinGroupChat([Talker("a"), Talker("b")], max_turns=1)
    with pytest.raises(ValueError) as raised:
        await plain.load_state(state)
    assert str(raised.value) == "Unknown message type: Memo"
    b = Talker("b")
    second = RoundRobinGroupChat([Talker("a"), b], max_turns=1, custom_message_types=[Memo])
    await second.load_state(state)
    await second.run()

    assert isinstance(b.received[0], Memo)


DAMAGE: list[tuple[str, Any, str]] = [
    ("current_turn", -1, "RoundRobinGroupChatManager.current_turn"),
    ("current_turn", "many", "RoundRobinGroupChatManager.current_turn"),
    ("next_speaker_index", -5, "RoundRobinGroupChatManager.next_speaker_index"),
    ("next_speaker_index", "1", "RoundRobinGroupChatManager.next_speaker_index"),
    ("next_speaker_index", True, "RoundRobinGroupChatManager.next_speaker_index"),
    ("next_speaker_index", 10**30, "RoundRobinGroupChatManager.next_speaker_index"),
    ("next_speaker_index", 2, "next_speaker_index"),
    ("undecided", -1, "RoundRobinGroupChatManager.undecided"),
    ("undecided", 10**30, "RoundRobinGroupChatManager.undecided"),
    ("undecided", 3, "undecided"),
    ("message_thread", [{"type": []}], "type: []"),
    ("message_thread", [{"type": {}}], "type: {}"),
    ("message_thread", [None], "message_thread.0"),
    ("message_thread", [{"type": "TextMessage", "source": "x"}], "message_thread.0.content"),
    ("run", {"opening": [{"type": "TextMessage", "source": "x"}]}, "run.opening.0.content"),
    ("shared_memory", 5, "shared_memory"),
    ("termination", [], "RoundRobinGroupChatManager.termination"),
    ("termination", {}, "type"),
    ("termination", {"x": 1}, "type"),
    ("termination", {"type": 5}, "type"),
    ("termination", {"type": "MaxMessageTermination"}, "terminated"),
    *(
        (
            "termination",
            {"type": "MaxMessageTermination", "terminated": False, "message_count": count},
            "message_count",
        )
        for count in (-5, 1.5, "1", True, None, 10**30)
    ),
]


@pytest.mark.parametrize(("field", "value", "key"), DAMAGE, ids=lambda value: str(value)[:40])
async def test_a_damaged_state_is_refused(field: str, value: Any, key: str) -> None:
    team, _, _ = build(condition=MaxMessageTermination(9))
    await team.run("go")
    state = await saved(team)
    state["agent_states"]["RoundRobinGroupChatManager"][field] = value
    other, _, _ = build(condition=MaxMessageTermination(9))
    before = await saved(other)

    with pytest.raises(ValueError) as raised:
        await other.load_state(state)

    assert key in str(raised.value)
    assert not isinstance(raised.value, ValidationError)
    assert await saved(other) == before


@pytest.mark.parametrize(
    ("container", "key"),
    [
        (None, "a"),
        ({"agent_state": []}, "a.agent_state"),
        ({"message_buffer": [{"type": "HandoffMessage"}]}, "a.message_buffer.0.source"),
    ],
)
async def test_a_damaged_state_of_a_participant_is_refused(container: Any, key: str) -> None:
    team, _, _ = build()
    state = await saved(team)
    state["agent_states"]["a"] = container

    with pytest.raises(ValueError, match="The state is damaged") as raised:
        await team.load_state(state)

    assert repr(key) in str(raised.value)


async def test_the_state_of_an_assistant_needs_its_conversation() -> None:
    agent = AssistantAgent("a", ScriptedModel([]))

    with pytest.raises(ValueError, match="'llm_context' is missing"):
        await agent.load_state({"type": "AssistantAgentState"})
    with pytest.raises(ValueError, match=r"'llm_context\.messages' is invalid"):
        await agent.load_state({"llm_context": {"messages": 5}})


@pytest.mark.parametrize("left", [-(10**30), 2, True, "1", 10**30])
async def test_the_edges_that_a_node_waits_for_are_as_many_as_it_has(left: Any) -> None:
    a, b = Talker("a"), Talker("b")
    graph = DiGraphBuilder().add_node(a).add_node(b).add_edge(a, b).build()
    team = GraphFlow([a, b], graph)
    state = json.loads(json.dumps(await team.save_state()))
    state["agent_states"]["GraphManager"]["remaining"]["b"]["b"] = left

    with pytest.raises(ValueError, match=r"The state is damaged: '.*remaining\.b\.b'"):
        await team.load_state(state)


PARTS: list[tuple[TerminationCondition, str, list[Any]]] = [
    (TimeoutTermination(9), "elapsed_seconds", [-1, float("nan"), 10**30, "1", True, None]),
    (TokenUsageTermination(9), "prompt_tokens", [-1, 1.5, None]),
    (TokenUsageTermination(9), "completion_tokens", [-1, 1.5, None]),
    (ExternalTermination(), "requested", [1, None]),
    (ExternalTermination() | ExternalTermination(), "conditions", [{}, None]),
]


@pytest.mark.parametrize(("condition", "key", "values"), PARTS, ids=lambda value: str(value)[:20])
async def test_a_damaged_state_of_a_condition_is_refused(
    condition: TerminationCondition, key: str, values: list[Any]
) -> None:
    state = await condition.save_state()
    await condition.load_state(state)

    for value in values:
        with pytest.raises(ValueError, match=f"The state is damaged: '{key}'"):
            await condition.load_state({**state, key: value})
    del state[key]
    with pytest.raises(ValueError, match=f"'{key}' is missing"):
        await condition.load_state(state)


@pytest.mark.parametrize("state", [None, [], "state", 1])
async def test_a_state_is_an_object(state: Any) -> None:
    team, _, _ = build()

    with pytest.raises(ValueError, match="as `save_state` returns it"):
        await team.load_state(state)
