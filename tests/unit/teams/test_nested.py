"""A team as a participant of a team."""

import json

import pytest
from tests.support.talkers import Failing, Talker, texts

from teamrun.conditions import MaxMessageTermination, TextMentionTermination
from teamrun.core import CancellationToken
from teamrun.messages import ThoughtEvent
from teamrun.teams import RoundRobinGroupChat


@pytest.mark.behaviour("team.nested")
async def test_messages_of_a_nested_team_are_yielded_and_delivered() -> None:
    def thought() -> list[ThoughtEvent]:
        return [ThoughtEvent(content="hm", source="a")]

    a, b, c = Talker("a", before=thought), Talker("b"), Talker("c")
    inner = RoundRobinGroupChat([a, b], name="inner", max_turns=2)
    team = RoundRobinGroupChat([inner, c], max_turns=3)

    result = await team.run("go")

    assert texts(result.messages) == [
        "user: go",
        "ThoughtEvent",
        "a: a 0",
        "b: b 0",
        "c: c 0",
        "ThoughtEvent",
        "a: a 1",
        "b: b 1",
    ]
    assert c.heard == [["user: go", "a: a 0", "b: b 0"]]
    assert a.heard == [["user: go"], ["b: b 0", "c: c 0"]]
    assert result.stop_reason == "Maximum number of turns 3 reached."


@pytest.mark.behaviour("team.nested")
async def test_a_turn_of_a_nested_team_is_one_turn_and_all_its_messages_count() -> None:
    inner = RoundRobinGroupChat([Talker("a"), Talker("b")], name="inner", max_turns=2)
    team = RoundRobinGroupChat([inner, Talker("c")], termination_condition=MaxMessageTermination(3))

    result = await team.run("go")

    assert texts(result.messages) == ["user: go", "a: a 0", "b: b 0"]
    assert team.stop_code == "max_messages"


@pytest.mark.behaviour("team.nested")
async def test_a_nested_team_stops_by_its_own_condition_again_and_again() -> None:
    inner = RoundRobinGroupChat(
        [Talker("a"), Talker("b", "x", "DONE", "x", "DONE")],
        name="inner",
        termination_condition=TextMentionTermination("DONE"),
    )
    team = RoundRobinGroupChat([inner], max_turns=2)

    result = await team.run("go")

    assert [message.to_text() for message in result.messages] == [
        "go", "a 0", "x", "a 1", "DONE", "a 2", "x", "a 3", "DONE",
    ]  # fmt: skip


async def test_a_nested_team_without_new_messages_continues() -> None:
    inner = RoundRobinGroupChat([Talker("a"), Talker("b")], name="inner", max_turns=1)

    result = await RoundRobinGroupChat([inner], max_turns=2).run("go")

    assert texts(result.messages) == ["user: go", "a: a 0", "b: b 0"]


async def test_reset_pause_and_resume_reach_the_inner_agents() -> None:
    a, b = Talker("a"), Talker("b")
    inner = RoundRobinGroupChat([b], name="inner", max_turns=1)
    team = RoundRobinGroupChat([a, inner], max_turns=1)
    await team.run("go")
    await team.pause()  # the inner team has not run, so there is nothing to pause
    assert (a.log, b.log) == (["pause"], [])
    await team.run()
    await team.pause()
    await team.resume()
    await team.reset()
    assert b.log == ["pause", "resume", "reset"]


@pytest.mark.behaviour("state.nested")
async def test_the_state_of_a_nested_team_is_part_of_the_outer_state() -> None:
    def build() -> tuple[RoundRobinGroupChat, Talker]:
        b = Talker("b")
        inner = RoundRobinGroupChat([Talker("a"), b], name="inner", max_turns=1)
        return RoundRobinGroupChat([inner], max_turns=1), b

    first, _ = build()
    await first.run("go")
    state = json.loads(json.dumps(await first.save_state()))
    assert state["agent_states"]["inner"]["agent_state"]["type"] == "TeamState"

    second, b = build()
    await second.load_state(state)
    assert texts((await second.run()).messages) == ["b: b 0"]
    assert b.heard == [["user: go", "a: a 0"]]


async def test_a_nested_run_that_was_cut_short_continues_where_it_was() -> None:
    a, b = Talker("a"), Failing("b", LookupError("boom"))
    inner = RoundRobinGroupChat(
        [a, b], name="inner", termination_condition=MaxMessageTermination(3)
    )
    team = RoundRobinGroupChat([inner], max_turns=1)
    with pytest.raises(LookupError):
        await team.run("go")
    result = await team.run(cancellation_token=CancellationToken())
    assert a.heard == [["user: go"]]
    assert texts(result.messages) == ["b: b 0"]
