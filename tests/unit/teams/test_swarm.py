"""A swarm: handoffs select the speaker. The expected values are those of AutoGen 0.7.5."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.talkers import Passer, Talker, texts

from teamrun.conditions import HandoffTermination, MaxMessageTermination
from teamrun.core import AnyMessage
from teamrun.messages import HandoffMessage, SelectSpeakerEvent, TextMessage
from teamrun.teams import RoundRobinGroupChat, Swarm

TO_USER = HandoffTermination("user")


def desk(*lines: str, **options: Any) -> Swarm:
    """Agents `a` and `b`; `b` says the lines."""
    return Swarm([Passer("a", "1", ">b"), Passer("b", *lines)], **options)


def answer(target: str) -> HandoffMessage:
    return HandoffMessage(source="user", target=target, content="hi")


@pytest.mark.behaviour("team.swarm.speaker")
async def test_the_latest_handoff_selects_the_speaker_and_keeps_it() -> None:
    result = await desk("2", "3", ">a", max_turns=6).run(task="go")

    said = ["user: go", "a: 1", "a: >b", "b: 2", "b: 3", "b: >a", "a: a 2"]
    assert texts(result.messages) == said
    assert result.stop_reason == "Maximum number of turns 6 reached."


async def test_every_speaker_is_an_event_on_request() -> None:
    events = [
        (each.source, each.content)
        async for each in desk("2", max_turns=3, emit_team_events=True).run_stream(task="go")
        if isinstance(each, SelectSpeakerEvent)
    ]

    assert events == [("SwarmGroupChatManager", [name]) for name in ("a", "a", "b")]


@pytest.mark.behaviour("team.swarm.task")
async def test_a_task_that_is_a_handoff_selects_the_first_speaker() -> None:
    result = await desk("2", max_turns=1).run(task=answer("b"))

    assert texts(result.messages) == ["user: hi", "b: 2"]


@pytest.mark.behaviour("team.swarm.person")
async def test_a_handoff_to_a_person_ends_the_run_and_the_answer_continues_it() -> None:
    team = desk("2", ">user", "3", termination_condition=TO_USER | MaxMessageTermination(9))
    first = await team.run(task="go")
    assert first.stop_reason == "Handoff to user from b detected."
    thread = (await team.save_state())["agent_states"]

    for task in ("plain", None):
        with pytest.raises(ValueError, match="existing handoff target user is not one of") as error:
            await team.run(task=task)
        assert "['a', 'b']" in str(error.value)
    with pytest.raises(ValueError, match="The target x is not one of the participants"):
        await team.run(task=answer("x"))
    assert (await team.save_state())["agent_states"] == thread  # nothing was received

    result = await team.run(task=answer("a"))
    assert texts(result.messages)[:2] == ["user: hi", "a: a 2"]


@pytest.mark.behaviour("team.swarm.unknown_target")
async def test_a_handoff_to_an_unknown_target_is_an_error_with_the_remedy() -> None:
    team = desk(">user", max_turns=9)

    remedy = "add HandoffTermination('user') to the termination condition"
    with pytest.raises(ValueError, match=re.escape(remedy)):
        await team.run(task="go")


async def test_without_a_task_the_conversation_continues() -> None:
    team = desk("2", "3", max_turns=3)
    await team.run(task="go")

    assert texts((await team.run()).messages) == ["b: 3", "b: b 2", "b: b 3"]


@pytest.mark.behaviour("team.swarm.state")
async def test_after_a_reset_the_first_participant_begins() -> None:
    team = desk("2", max_turns=3)
    await team.run(task="go")
    await team.reset()

    assert texts((await team.run(task="go")).messages)[1] == "a: 1"


@pytest.mark.behaviour("state.autogen", "team.swarm.state")
async def test_the_state_is_autogens_and_another_team_continues_from_it() -> None:
    team = desk("2", ">a", max_turns=3)
    await team.run(task="go")
    state = await team.save_state()

    manager = state["agent_states"]["SwarmGroupChatManager"]
    assert (manager["type"], manager["current_speaker"]) == ("SwarmManagerState", "b")
    foreign = {**manager, "termination": None, "run": None}
    for own in ("termination", "run", "undecided"):
        del foreign[own]
    other = desk("2", ">a", max_turns=2)
    await other.load_state(
        {**state, "agent_states": {**state["agent_states"], "SwarmGroupChatManager": foreign}}
    )
    assert texts((await other.run()).messages) == ["b: >a", "a: a 2"]


async def test_a_state_with_a_speaker_of_another_team_is_refused() -> None:
    team = desk("2")
    state: Any = await team.save_state()
    state["agent_states"]["SwarmGroupChatManager"]["current_speaker"] = "c"

    with pytest.raises(ValueError, match="'c' as the current speaker"):
        await team.load_state(state)


async def test_a_nested_swarm_ignores_the_handoffs_of_others() -> None:
    def swarm(name: str, *agents: str) -> Swarm:
        first, second = agents
        members = [Passer(first, f">{second}"), Passer(second, "done")]
        return Swarm(members, name=name, max_turns=2)

    team = RoundRobinGroupChat([swarm("one", "a", "b"), swarm("two", "c", "d")], max_turns=2)

    result = await team.run(task=answer("one"))
    assert texts(result.messages)[1:] == ["a: >b", "b: done", "c: >d", "d: done"]


async def test_a_swarm_that_was_left_continues_with_the_target() -> None:
    team = desk("2", "3", max_turns=4)
    stream = team.run_stream(task="go")
    seen: list[AnyMessage] = []
    async for item in stream:
        assert isinstance(item, TextMessage | HandoffMessage)
        seen.append(item)
        if isinstance(item, HandoffMessage):
            break
    await stream.aclose()

    other = desk("2", "3", max_turns=4)
    await other.load_state(await team.save_state())
    assert texts((await other.run()).messages) == ["b: 2", "b: 3"]


def members(*agents: Any) -> Sequence[Any]:
    return agents


@pytest.mark.behaviour("team.swarm.participants")
@pytest.mark.parametrize(
    ("participants", "error", "says"),
    [
        (members(desk()), TypeError, "Participant 'Swarm' must be a ChatAgent"),
        (members(Passer("a"), desk()), TypeError, "Swarm takes no teams"),
        (members(Talker("a"), Passer("b")), ValueError, "must be able to produce a handoff"),
        (members(), ValueError, "At least one participant"),
    ],
)
def test_participants_that_cannot_form_a_swarm_are_refused(
    participants: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Swarm(participants)
