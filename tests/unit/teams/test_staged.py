"""Teams that work in steps: sequential, concurrent, hierarchical, debate, competitive."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from tests.support.talkers import Failing, Passer, Stuck, Talker, texts

from teamrun.conditions import HandoffTermination, TextMentionTermination
from teamrun.core import AnyMessage, TaskResult
from teamrun.messages import HandoffMessage, SelectSpeakerEvent
from teamrun.teams import (
    BaseGroupChat,
    CompetitiveGroupChat,
    ConcurrentGroupChat,
    DebateGroupChat,
    HierarchicalGroupChat,
    RoundRobinGroupChat,
    SequentialGroupChat,
)


def talkers(names: str) -> list[Talker]:
    return [Talker(name) for name in names]


def said(messages: Sequence[AnyMessage]) -> list[str]:
    """The texts, and `team` for those of the team itself."""
    return ["team" if "Manager:" in text else text for text in texts(messages)]


async def work(team: BaseGroupChat, task: str | None = "go") -> list[str]:
    result = await team.run(task=task)
    assert (result.stop_reason, team.stop_code) == ("All steps are complete.", "steps_complete")
    return said(result.messages)


@pytest.mark.behaviour("pattern.sequential")
async def test_in_a_chain_each_member_speaks_once_and_each_task_begins_anew() -> None:
    team = SequentialGroupChat(talkers("abc"))

    assert await work(team) == ["user: go", "a: a 0", "b: b 0", "c: c 0"]
    assert await work(team, "on") == ["user: on", "a: a 1", "b: b 1", "c: c 1"]
    assert await work(team, None) == ["a: a 2", "b: b 2", "c: c 2"]


class Meeting(Talker):
    """Answers when all have begun."""

    def __init__(self, name: str, barrier: asyncio.Barrier) -> None:
        super().__init__(name)
        self.barrier = barrier

    async def work(self, cancellation_token: Any) -> None:
        await self.barrier.wait()


@pytest.mark.behaviour("pattern.parallel")
async def test_members_answer_at_the_same_time_and_one_combines_the_answers() -> None:
    barrier = asyncio.Barrier(2)
    team = ConcurrentGroupChat(
        [Meeting("a", barrier), last := Talker("s"), Meeting("b", barrier)],
        synthesizer="s",
        emit_team_events=True,
    )

    result = await asyncio.wait_for(team.run(task="go"), 5)

    chosen = [each.content for each in result.messages if isinstance(each, SelectSpeakerEvent)]
    assert chosen == [["a", "b"], ["s"]]
    heard = [text.partition(":")[0] for text in last.heard[0]]
    assert (heard[0], sorted(heard[1:3]), heard[3]) == (
        *("user", ["a", "b"], "ConcurrentGroupChatManager"),
    )
    assert isinstance(a := team.participants[0], Talker)
    assert a.heard == [["user: go"]]
    assert await work(ConcurrentGroupChat(talkers("ab"))) == ["user: go", "a: a 0", "b: b 0"]


async def test_the_request_of_one_s_own_replaces_ours() -> None:
    team = ConcurrentGroupChat(talkers("ab"), synthesizer="b", final_prompt="Shorter!")
    result = await team.run(task="go")
    assert "ConcurrentGroupChatManager: Shorter!" in texts(result.messages)


@pytest.mark.behaviour("pattern.debate")
async def test_debaters_reply_to_each_other_and_a_judge_decides() -> None:
    team = DebateGroupChat(members := talkers("abj"))

    debate = await work(team)

    assert [line for line in debate if line != "team"] == [
        *("user: go", "a: a 0", "b: b 0", "a: a 1", "b: b 1", "j: j 0")
    ]
    assert [line.partition(":")[0] for line in members[0].heard[1]] == [
        "b",
        "DebateGroupChatManager",
    ]
    assert [m.said for m in members] == [2, 2, 1]
    team = DebateGroupChat(talkers("jab"), judge="j", rounds=1)
    assert [line[0] for line in await work(team)] == ["u", "a", "b", "t", "j"]


@pytest.mark.behaviour("pattern.hierarchical")
async def test_a_manager_assigns_parts_until_it_answers_and_each_gets_its_own() -> None:
    plan = "We divide it.\n- **a**: look it up\n2. b: write\nb: and check\nnote: no member"
    manager = Talker("m", plan, "a: again", "The answer, as b: wrote.")
    team = HierarchicalGroupChat([manager, a := Talker("a"), b := Talker("b")])

    lines = [line for line in await work(team) if line != "team"]

    assert [line[:4] for line in lines] == ["user", "m: W", "a: a", "b: b", "m: a", "a: a", "m: T"]
    assert "HierarchicalGroupChatManager: Your part, a: look it up" in a.heard[0]
    assert "HierarchicalGroupChatManager: Your part, b: write\nand check" in b.heard[0]
    assert not any("Your part, b" in line for line in a.heard[0])
    assert any("a: The agent a.\nb: The agent b." in line for line in manager.heard[0])


async def test_after_the_last_round_the_manager_has_to_answer() -> None:
    manager = Talker("m", "a: one", "a: two", "a: three")
    team = HierarchicalGroupChat([Talker("a"), manager], manager="m", rounds=2, final_prompt="End!")

    result = await team.run(task="go")

    spoken = [line[0] for line in said(result.messages)]
    assert "".join(spoken).replace("t", "") == "umamam"
    assert texts(result.messages)[-2:] == ["HierarchicalGroupChatManager: End!", "m: a: three"]
    assert team.stop_code == "steps_complete"


@pytest.mark.behaviour("pattern.competitive")
async def test_the_proposal_that_the_judge_names_is_the_result() -> None:
    team = CompetitiveGroupChat([*talkers("ab"), Talker("j", "It is b.")], judge="j")

    assert (await work(team))[-2:] == ["j: It is b.", "b: b 0"]


@pytest.mark.parametrize(
    ("verdicts", "winner"), [(["a or b?", "neither", "b!"], "b"), (["?"] * 3, "a")]
)
async def test_a_judge_that_names_no_one_is_asked_again_and_then_the_first_wins(
    verdicts: list[str], winner: str
) -> None:
    team = CompetitiveGroupChat(
        [*talkers("ab"), judge := Talker("j", *verdicts)], judge="j", final_prompt="Of {names}?"
    )

    lines = await work(team)

    assert [line[0] for line in lines] == ["u", "a", "b", *"tj" * 3, winner]
    assert judge.heard[0][-1].endswith("Of a, b?")
    assert "Please select" in judge.heard[1][-1]


@pytest.mark.parametrize("judge", [None, "j"])
async def test_losers_are_cancelled_and_take_part_in_the_next_task(judge: str | None) -> None:
    loser = Stuck("a")
    members = [loser, Talker("b"), *(talkers("j") if judge else [])]
    team = CompetitiveGroupChat(members, judge=judge, enough=1)

    result = await asyncio.wait_for(team.run(task="go"), 5)

    assert loser.was_cancelled
    assert texts(result.messages) == ["user: go", "b: b 0"]
    loser.go.set()
    assert "a: a 0" in await work(team, "again")
    assert loser.heard[-1] == ["user: go", "b: b 0", "user: again"]


class Late(Talker):
    """Ends while it is being cancelled."""

    async def work(self, cancellation_token: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return


async def test_a_loser_that_ends_in_spite_of_it_is_not_heard() -> None:
    team = CompetitiveGroupChat([late := Late("a"), Talker("b")], enough=1)

    assert await asyncio.wait_for(work(team), 5) == ["user: go", "b: b 0"]
    await asyncio.wait_for(work(team, "again"), 5)
    assert late.heard[-1] == ["b: b 0", "user: again"]


async def test_observers_see_the_end_of_every_turn_also_of_those_that_are_cancelled() -> None:
    seen: list[str] = []

    class Observer:
        def turn_started(self, turn: int, agent: str) -> None:
            seen.append(f"+{agent}")

        def turn_completed(self, turn: int, agent: str) -> None:
            seen.append(f"-{agent}")

        def speaker_selected(self, speakers: list[str]) -> None: ...

    team = CompetitiveGroupChat([Stuck("a"), Talker("b")])
    team.observer = Observer()
    await asyncio.wait_for(team.run(task="go"), 5)

    assert seen == ["+a", "+b", "-b", "-a"]


async def test_one_that_fails_cancels_the_others_and_the_next_run_repeats_their_turns() -> None:
    stuck = Stuck("a")
    team = ConcurrentGroupChat([stuck, Failing("b", ValueError("broken")), Talker("c")])
    with pytest.raises(ValueError, match="broken"):
        await team.run(task="go")
    assert stuck.was_cancelled

    stuck.go.set()
    assert sorted(await work(team, None)) == ["a: a 0", "b: b 0"]


async def test_a_condition_ends_a_run_and_the_next_one_continues() -> None:
    team = SequentialGroupChat(
        [Talker("a"), Talker("b", "STOP"), Talker("c")],
        termination_condition=TextMentionTermination("STOP"),
    )
    first = await team.run(task="go")
    assert first.stop_reason == "Text 'STOP' mentioned"

    assert await work(team, "on") == ["user: on", "c: c 0"]


async def test_one_that_hands_off_to_a_person_speaks_again_with_the_answer() -> None:
    team = ConcurrentGroupChat(
        [Passer("a", ">user", "thanks"), Passer("b", "b"), Talker("s")],
        synthesizer="s",
        termination_condition=HandoffTermination("user"),
    )
    assert (await team.run(task="go")).stop_reason == "Handoff to user from a detected."
    assert await team.reopen("a")

    answer = HandoffMessage(source="user", target="a", content="42")
    result = await team.run(task=answer)

    assert [line[0] for line in said(result.messages)] == ["u", "a", "t", "s"]


# Nested teams, interruption and state


def pair(name: str) -> RoundRobinGroupChat:
    return RoundRobinGroupChat([Talker(f"{name}1"), Talker(f"{name}2")], name=name, max_turns=2)


def nested_chain() -> BaseGroupChat:
    return SequentialGroupChat([pair("p"), Talker("z")])


def nested_workers() -> BaseGroupChat:
    return ConcurrentGroupChat([pair("p"), pair("q"), Talker("s")], synthesizer="s")


def nested_managers() -> BaseGroupChat:
    manager = SequentialGroupChat([Talker("x"), Talker("y", "p: do it", "Done")], name="m")
    return HierarchicalGroupChat([manager, pair("p"), Talker("a")])


def nested_debate() -> BaseGroupChat:
    return DebateGroupChat([pair("p"), pair("q"), Talker("j")], rounds=1)


def nested_competitors() -> BaseGroupChat:
    return CompetitiveGroupChat(
        [pair("p"), pair("q"), Talker("j", "q")], judge="j", final_prompt="Whose?"
    )


def nested_steps() -> BaseGroupChat:
    inner = CompetitiveGroupChat([*talkers("ab"), Talker("j", "b")], name="inner", judge="j")
    return DebateGroupChat([inner, Talker("c"), Talker("k")], rounds=1)


NESTED = [
    *(nested_chain, nested_workers, nested_managers, nested_debate, nested_competitors),
    nested_steps,
]
each_nested = pytest.mark.parametrize("make", NESTED, ids=lambda make: make.__name__)


@each_nested
async def test_teams_are_members_and_their_last_message_is_their_answer(
    make: Callable[[], BaseGroupChat],
) -> None:
    lines = await work(make())

    assert lines[0] == "user: go"
    if make is nested_competitors:
        assert lines[-1] == "q: q2 0"
    if make is nested_managers:
        assert [line for line in lines if line[:2] in ("p1", "a:")] == ["p1: p1 0"]


@each_nested
@pytest.mark.parametrize("loaded", [False, True], ids=["the same team", "a loaded state"])
async def test_a_run_that_is_left_at_any_message_continues(
    make: Callable[[], BaseGroupChat], loaded: bool
) -> None:
    other = make()
    whole = texts((await other.run(task="go")).messages)
    wanted = await thread_of(other)
    for count in range(1, len(whole) + 1):
        team, seen = make(), list[AnyMessage]()
        async with aclosing(team.run_stream(task="go")) as stream:
            async for item in stream:
                assert not isinstance(item, TaskResult)
                seen.append(item)
                if len(seen) == count:
                    break
        if loaded:
            state = json.loads(json.dumps(await team.save_state()))
            team = make()
            await team.load_state(state)
        result = await team.run()
        assert await thread_of(team) == wanted
        assert team.stop_code == "steps_complete"
        assert texts(result.messages)[-1:] == (whole[-1:] if count < len(whole) else [])


async def test_a_loaded_state_has_the_turns_that_were_under_way() -> None:
    team = ConcurrentGroupChat([Talker("a"), Stuck("b"), Talker("s")], synthesizer="s")
    async with aclosing(team.run_stream(task="go")) as stream:
        async for item in stream:
            if "a: a 0" in texts([item] if not isinstance(item, TaskResult) else []):
                break
    state = json.loads(json.dumps(await team.save_state()))
    members = [Talker("a"), b := Talker("b"), s := Talker("s")]
    team = ConcurrentGroupChat(members, synthesizer="s")
    await team.load_state(state)

    assert await work(team, None) == ["b: b 0", "team", "s: s 0"]
    assert b.heard == [["user: go"]]  # not what was said at the same time
    assert s.heard[0][:3] == ["user: go", "a: a 0", "b: b 0"]


async def thread_of(team: BaseGroupChat) -> list[str]:
    """The conversation; members that speak at the same time may do so in another order."""
    manager = (await team.save_state())["agent_states"][f"{team.name}Manager"]
    return sorted(f"{each['source']}: {each['content']}" for each in manager["message_thread"])


async def test_reset_begins_with_the_first_step() -> None:
    team = SequentialGroupChat(talkers("ab"), termination_condition=TextMentionTermination("a 0"))
    await team.run(task="go")
    await team.reset()

    assert (await team.save_state())["agent_states"]["SequentialGroupChatManager"]["step"] == 0


async def test_a_state_with_a_stranger_is_refused() -> None:
    team = ConcurrentGroupChat(talkers("ab"))
    await team.run(task="go")
    state = json.loads(json.dumps(await team.save_state()))
    state["agent_states"]["ConcurrentGroupChatManager"]["active_nodes"] = ["z"]

    with pytest.raises(ValueError, match="The state names 'z', which is not one of"):
        await team.load_state(state)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ConcurrentGroupChat(talkers("ab"), synthesizer="z"), "`synthesizer` is 'z'"),
        (lambda: ConcurrentGroupChat(talkers("a"), synthesizer="a"), "1 participants besides 'a'"),
        (lambda: HierarchicalGroupChat(talkers("a")), "at least 1 participants besides 'a'"),
        (lambda: HierarchicalGroupChat(talkers("ab"), manager="z"), "`manager` is 'z'"),
        (lambda: HierarchicalGroupChat(talkers("ab"), rounds=0), "rounds"),
        (lambda: DebateGroupChat(talkers("ab")), "at least 2 participants besides 'b'"),
        (lambda: DebateGroupChat(talkers("abc"), judge="z"), "`judge` is 'z'"),
        (lambda: CompetitiveGroupChat(talkers("ab"), judge="z"), "`judge` is 'z'"),
        (lambda: CompetitiveGroupChat(talkers("ab"), enough=3), "there are 2 competitors"),
        (lambda: CompetitiveGroupChat(talkers("ab"), enough=0), "enough"),
        (lambda: SequentialGroupChat([]), "At least one participant"),
    ],
)
def test_what_cannot_work_is_refused(make: Callable[[], BaseGroupChat], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


async def test_pause_and_resume_reach_the_members_also_of_nested_teams() -> None:
    team = SequentialGroupChat([inner := pair("p"), last := Talker("z")])
    with pytest.raises(RuntimeError, match="before it can be paused"):
        await team.pause()
    await team.run(task="go")
    await team.pause()
    await team.resume()

    assert isinstance(member := inner.participants[0], Talker)
    assert last.log == member.log == ["pause", "resume"]
