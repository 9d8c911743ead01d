"""A cancelled token ends a run at once, and the team can be used afterwards."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from tests.support.talkers import Failing, Stuck, Talker, texts

from teamrun.conditions import MaxMessageTermination
from teamrun.core import CancellationToken, TaskResult
from teamrun.teams import RoundRobinGroupChat


async def cancel_inside(
    team: RoundRobinGroupChat, stuck: Stuck, cancel: Callable[[CancellationToken], object]
) -> None:
    """Run the team, cancel the token while `stuck` works, and see the run end."""
    token = CancellationToken()
    running = asyncio.ensure_future(team.run("go", cancellation_token=token))
    await stuck.started.wait()
    cancel(token)
    with pytest.raises(asyncio.CancelledError):
        await running


def _from_a_thread(token: CancellationToken) -> None:
    thread = threading.Thread(target=token.cancel)
    thread.start()
    thread.join()


@pytest.mark.behaviour("team.cancel")
@pytest.mark.parametrize(
    "cancel", [CancellationToken.cancel, _from_a_thread], ids=["same thread", "other thread"]
)
async def test_a_cancel_ends_the_run_though_the_agent_does_not_look_at_the_token(
    cancel: Callable[[CancellationToken], object],
) -> None:
    a = Stuck("a")
    await cancel_inside(RoundRobinGroupChat([a, Talker("b")]), a, cancel)
    assert a.was_cancelled


async def test_a_caller_that_catches_the_cancel_is_not_cancelled_itself() -> None:
    a = Stuck("a")
    token = CancellationToken()
    team = RoundRobinGroupChat([a, Talker("b")], max_turns=1)
    asyncio.get_running_loop().call_soon(token.cancel)
    with pytest.raises(asyncio.CancelledError):
        await team.run("go", cancellation_token=token)

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)
    a.go.set()
    result = await team.run()
    assert texts(result.messages) == ["a: a 0"]


@pytest.mark.behaviour("team.cancel.continue")
async def test_a_cancelled_team_takes_the_turn_that_was_cut_short_again() -> None:
    a, b = Talker("a"), Stuck("b")
    team = RoundRobinGroupChat([a, b], max_turns=3)
    await cancel_inside(team, b, CancellationToken.cancel)
    b.go.set()

    result = await team.run()

    assert b.heard == [["user: go", "a: a 0"]] * 2
    assert result.stop_reason == "Maximum number of turns 3 reached."
    assert texts(result.messages) == ["b: b 0", "a: a 1"]


async def test_counts_continue_after_a_cancel_and_begin_anew_with_a_new_task() -> None:
    runs: list[list[str]] = []
    for task in (None, "new"):
        a, b = Talker("a"), Stuck("b")
        condition = MaxMessageTermination(4)
        team = RoundRobinGroupChat([a, b], termination_condition=condition)
        await cancel_inside(team, b, CancellationToken.cancel)
        b.go.set()
        runs.append(texts((await team.run(task)).messages))
        assert not condition.terminated
    assert runs == [
        ["b: b 0", "a: a 1"],  # two messages were counted before the cancel
        ["user: new", "b: b 0", "a: a 1", "b: b 1"],
    ]


async def test_with_a_cancelled_token_no_agent_takes_a_turn() -> None:
    a = Talker("a")
    token = CancellationToken()
    token.cancel()
    team = RoundRobinGroupChat([a], max_turns=1)
    with pytest.raises(asyncio.CancelledError):
        await team.run("go", cancellation_token=token)
    assert a.heard == []
    assert texts((await team.run("again")).messages) == ["user: again", "a: a 0"]


@pytest.mark.behaviour("team.cancel.buffer")
async def test_a_cancel_between_two_messages_ends_the_stream() -> None:
    token = CancellationToken()
    team = RoundRobinGroupChat([Talker("a"), Talker("b")], max_turns=4)
    seen: list[str] = []
    with pytest.raises(asyncio.CancelledError):
        async for item in team.run_stream("go", cancellation_token=token):
            assert not isinstance(item, TaskResult)
            seen.append(item.to_text())
            if item.to_text() == "a 0":
                token.cancel()
    assert texts((await team.run()).messages) == ["b: b 0", "a: a 1", "b: b 1"]
    assert seen == ["go", "a 0"]


async def test_cancelling_the_callers_task_ends_the_run_as_well() -> None:
    a = Stuck("a")
    team = RoundRobinGroupChat([a], max_turns=1)
    running = asyncio.ensure_future(team.run("go"))
    await a.started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    a.go.set()
    assert texts((await team.run()).messages) == ["a: a 0"]


async def test_a_cancel_reaches_the_agent_of_a_nested_team() -> None:
    a, b = Stuck("a"), Talker("b")
    inner = RoundRobinGroupChat([a], name="inner", max_turns=1)
    team = RoundRobinGroupChat([inner, b], max_turns=2)
    await cancel_inside(team, a, CancellationToken.cancel)
    assert a.was_cancelled
    a.go.set()

    result = await team.run()

    assert texts(result.messages) == ["a: a 0", "b: b 0"]
    assert a.heard == [["user: go"], ["user: go"]]


async def test_a_long_lived_token_does_not_collect_finished_runs() -> None:
    token = CancellationToken()
    team = RoundRobinGroupChat([Failing("a", LookupError("boom"))], max_turns=1)
    with pytest.raises(LookupError):
        await team.run("go", cancellation_token=token)
    await team.run(cancellation_token=token)
    token.cancel()  # no run is active
    await team.run("again")


class Stopping(Talker):
    """Cancels the token in its turn, and goes on."""

    async def work(self, cancellation_token: CancellationToken | None) -> None:
        assert cancellation_token is not None
        cancellation_token.cancel()


async def test_a_token_cancelled_by_an_agent_ends_the_run_after_its_turn() -> None:
    stopping, token = Stopping("a"), CancellationToken()
    team = RoundRobinGroupChat([stopping], max_turns=5)

    with pytest.raises(asyncio.CancelledError):
        await team.run(task="go", cancellation_token=token)

    assert stopping.said == 1
    assert await team.run()  # the team is free, and goes on
