"""The turn of a run comes although the process or the run before it is lost."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.refs import RunRef
from teamrun.errors import RunNotFound
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.announcer import lease_name
from teamrun.runs.log.entries import End
from teamrun.runs.log.keys import entry_key, open_marker
from teamrun.runs.service.requests import RunRequest
from teamrun.threads.requests import ThreadRequest

TEAM = {**solo(), "max_turns": 1}


async def waiting() -> tuple[Cluster, RunRef, RunRef]:
    """Two runs of a thread; a worker has found that the second one waits. No message is left."""
    cluster = Cluster({"a": ["Rain."] * 3}, team=TEAM, lease=timedelta(seconds=1))
    thread = (await cluster.threads.create(TENANT, ThreadRequest())).thread
    first, second = [await cluster.submit(task, thread_id=thread.id) for task in ("One", "Two")]
    await cluster.worker().execute(second)
    assert await cluster.store.get_many([open_marker(second)]) == [None]
    cluster.queue.waiting.clear()
    return cluster, first, second


async def end_and_die(cluster: Cluster, ref: RunRef) -> None:
    """The run ends, and its process is lost before any duty."""
    log = cluster.log(ref)
    state = await log.state()
    assert state is not None
    assert await log.append(state, End(status="cancelled"), [], epoch=state.epoch)


async def status(cluster: Cluster, ref: RunRef) -> str:
    return (await cluster.service.get(TENANT, ref.run_id)).status


async def pass_time(cluster: Cluster, **time: float) -> None:
    """The reaper looks at all runs after this time."""
    reaper = cluster.reaper()
    cluster.clock.shift += timedelta(**time)
    await reaper.sweep()
    for _ in range(2):  # the second page is empty
        await reaper.keep_up()
    await cluster.queue.deliver(cluster.worker("later").execute)


async def test_the_deletion_of_an_ended_run_gives_the_next_one_its_turn() -> None:
    cluster, first, second = await waiting()
    await end_and_die(cluster, first)
    await cluster.service.delete(TENANT, first.run_id)
    await cluster.queue.deliver(cluster.worker().execute)
    assert await status(cluster, second) == "completed"


async def test_an_unreadable_log_of_the_thread_prevents_no_deletion(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster, first, _ = await waiting()
    await end_and_die(cluster, first)
    [*_, last] = await cluster.store.list(f"t/{TENANT}/threads/")
    await cluster.store.put(last, b'{"v": 2}')  # of a newer release
    cluster.turns.logs._states.clear()  # pyright: ignore[reportPrivateUsage]
    await cluster.service.delete(TENANT, first.run_id)
    assert "thread.turn_failed" in {vars(record).get("action") for record in caplog.records}
    with pytest.raises(RunNotFound):
        await cluster.service.get(TENANT, first.run_id)


@pytest.mark.parametrize("by_walk", [False, True])
async def test_the_reaper_gives_a_turn_that_nobody_gave(by_walk: bool) -> None:
    cluster, first, second = await waiting()
    await end_and_die(cluster, first)
    await cluster.store.delete(open_marker(first))
    reaper = cluster.reaper()
    if by_walk:
        await reaper.keep_up()
    else:
        cluster.clock.shift += timedelta(hours=8)  # the hour of the idle marker is over
        await reaper.sweep()
    await cluster.queue.deliver(cluster.worker("later").execute)
    assert await status(cluster, second) == "completed"


async def damage(cluster: Cluster, ref: RunRef) -> dict[str, Any]:
    keys = [entry_key(ref, n) for n in range(len(await cluster.entries(ref)))]
    kept = dict(zip(keys, await cluster.store.get_many(keys), strict=True))
    for key in keys:
        await cluster.store.put(key, b"garbage")
    return kept


async def test_the_runs_behind_a_damaged_one_go_on_after_an_hour() -> None:
    cluster, first, second = await waiting()
    await damage(cluster, first)
    await pass_time(cluster, minutes=1)
    await pass_time(cluster, minutes=58)
    assert await status(cluster, second) == "queued"
    await pass_time(cluster, minutes=3)
    assert await status(cluster, second) == "completed"


async def test_the_runs_behind_a_lost_one_go_on() -> None:
    cluster, first, second = await waiting()
    await cluster.store.delete(entry_key(first, 0))
    await pass_time(cluster, minutes=1)
    assert await status(cluster, second) == "completed"


async def test_damage_that_heals_gives_no_turn() -> None:
    cluster, first, second = await waiting()
    for _ in range(2):
        kept = await damage(cluster, first)
        await pass_time(cluster, minutes=1)
        for key, data in kept.items():
            await cluster.store.put(key, data)
        # A worker is asked; it sees that the run is readable again.
        cluster.clock.shift += timedelta(hours=2)
        await cluster.worker().execute(second)
    assert await status(cluster, second) == "queued"


async def test_a_damaged_run_that_a_process_executes_has_its_turn() -> None:
    cluster, first, second = await waiting()
    await damage(cluster, first)
    assert isinstance(cluster.live, MemoryLive)
    for _ in range(3):
        await cluster.live.acquire(lease_name(first), "newer", timedelta(hours=9))
        await pass_time(cluster, hours=2)
    assert await status(cluster, second) == "queued"


@pytest.mark.parametrize("policy", ["enqueue", "interrupt", "rollback"])
async def test_a_run_that_has_ended_does_not_join_late(
    policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster({"a": ["Rain."] * 2}, team=TEAM)
    thread = (await cluster.threads.create(TENANT, ThreadRequest())).thread
    request = RunRequest.model_validate(
        {"team": "team", "input": "Old", "thread_id": thread.id, "on_busy_thread": policy}
    )

    async def die(*_: Any, **__: Any) -> None:
        raise ConnectionError("the process ends")

    with monkeypatch.context() as patch:
        patch.setattr(cluster.turns, "join", die)
        with pytest.raises(ConnectionError):
            await cluster.service.submit(TENANT, request, idempotency_key="k")
    old = RunRef(TENANT, cluster.queue.waiting[0].run_id)
    await cluster.service.cancel(TENANT, old.run_id)
    cluster.queue.waiting.clear()
    new = await cluster.submit("New", thread_id=thread.id)

    again = await cluster.service.submit(TENANT, request, idempotency_key="k")
    assert (again.run.id, again.run.status, again.replayed) == (old.run_id, "cancelled", True)
    assert (await cluster.threads.get(TENANT, thread.id)).runs_count == 1
    await cluster.queue.deliver(cluster.worker().execute)
    assert await status(cluster, new) == "completed"
    said = await cluster.threads.messages(TENANT, thread.id, limit=9)
    assert [each.message["content"] for each in said.data] == ["New", "Rain."]


async def test_a_completed_run_is_answered_as_before_after_its_thread_was_deleted() -> None:
    cluster = Cluster({"a": ["Rain."]}, team=TEAM)
    thread = (await cluster.threads.create(TENANT, ThreadRequest())).thread
    request = RunRequest(team="team", input="One", thread_id=thread.id)
    first = await cluster.service.submit(TENANT, request, idempotency_key="k")
    await cluster.queue.deliver(cluster.worker().execute)
    await cluster.threads.delete(TENANT, thread.id)
    again = await cluster.service.submit(TENANT, request, idempotency_key="k")
    assert (again.run.id, again.run.status) == (first.run.id, "completed")
