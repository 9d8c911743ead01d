import asyncio
from datetime import UTC, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.runs import TENANT, Cluster, solo

from teamrun.dispatch.base import RunRef
from teamrun.errors import ModelError, RunNotFound, Unavailable
from teamrun.runs.calls import error_record
from teamrun.runs.engine import Engine
from teamrun.runs.entries import Claim, End, Yield
from teamrun.runs.journal import Desk, Journal, Outcome
from teamrun.runs.keys import open_marker
from teamrun.runs.public import Run
from teamrun.runs.spec import RunRequest
from teamrun.storage.memory import MemoryStore
from teamrun.testing.faults import Fault, FaultStore

BUSY = {"error": {"message": "overloaded", "status_code": 529, "retryable": True}}


async def executed(cluster: Cluster, ref: RunRef, owner: str = "w") -> Run:
    worker = cluster.worker(owner)
    await worker.execute(ref)
    await worker.close()
    return await cluster.service.get(TENANT, ref.run_id)


def test_a_failure_that_may_pass_is_tried_again_and_only_the_failed_call_is_made_again() -> None:
    async def scenario() -> None:
        cluster = Cluster({"a": ["one", BUSY]}, team=solo())
        ref = await cluster.submit(retry={"max_attempts": 3, "backoff_seconds": 60})
        run = await executed(cluster, ref, "w1")
        assert (run.status, run.usage.model_calls) == ("queued", 2)
        assert (await executed(cluster, ref, "early")).status == "queued"
        assert await cluster.store.list("open/") == []

        cluster.clock.shift += timedelta(seconds=61)
        cluster.queue.waiting.clear()
        healed = Cluster({"a": ["never asked again", "DONE"]}, team=solo(), store=cluster.store)
        healed.clock.shift = cluster.clock.shift
        assert await cluster.reaper().sweep() == 1
        assert list(cluster.queue.waiting) == [ref]
        run = await executed(healed, ref, "w2")
        assert (run.status, run.usage.model_calls) == ("completed", 3)
        result = await healed.service.result(TENANT, ref.run_id)
        assert [m["content"] for m in result.messages] == ["go", "one", "DONE"]
        types = await healed.event_types(ref)
        assert types.count("run.retried") == 1
        seqs = [e.seq for e in (await healed.service.events(TENANT, ref.run_id, limit=99)).data]
        assert seqs == list(range(1, len(seqs) + 1))

    asyncio.run(scenario())


def test_after_the_last_attempt_the_run_has_failed() -> None:
    async def scenario() -> None:
        cluster = Cluster({"a": [BUSY]}, team=solo())
        ref = await cluster.submit(retry={"max_attempts": 2, "backoff_seconds": 1})
        await executed(cluster, ref, "w1")
        cluster.clock.shift += timedelta(seconds=2)
        run = await executed(cluster, ref, "w2")
        assert (run.status, run.stop_code) == ("failed", "model_error")

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [{"message": "no", "status_code": 401, "retryable": False}])
def test_a_failure_for_good_is_not_tried_again(error: dict[str, Any]) -> None:
    async def scenario() -> None:
        cluster = Cluster({"a": [{"error": error}]}, team=solo())
        ref = await cluster.submit(retry={"max_attempts": 5})
        assert (await executed(cluster, ref)).status == "failed"

    asyncio.run(scenario())


def test_a_scheduled_run_begins_when_its_time_comes() -> None:
    async def scenario() -> None:
        cluster = Cluster({"a": ["DONE"]}, team=solo())
        ref = await cluster.submit(delay_seconds=7200)
        assert cluster.queue.sent == []
        assert await cluster.event_types(ref) == ["run.scheduled"]
        assert (await executed(cluster, ref)).status == "scheduled"
        assert await cluster.reaper().sweep() == 0
        cluster.clock.shift += timedelta(seconds=7201)
        assert await cluster.reaper().sweep() == 1
        assert (await executed(cluster, ref)).status == "completed"
        cluster.clock.shift += timedelta(hours=7)  # the first look left a marker for later
        assert await cluster.reaper().sweep() == 0
        assert await cluster.store.list("due/") == []

    asyncio.run(scenario())


def test_a_time_that_has_passed_is_now() -> None:
    async def scenario() -> None:
        cluster = Cluster({"a": ["DONE"]}, team=solo())
        past = (cluster.clock.now() - timedelta(days=1)).astimezone(UTC)
        ref = await cluster.submit(run_at=past.isoformat())
        assert cluster.queue.sent == [ref]

    asyncio.run(scenario())


def test_delay_and_time_together_are_refused() -> None:
    with pytest.raises(ValidationError, match="not both"):
        RunRequest.model_validate(
            {"team": "t", "input": "x", "delay_seconds": 1, "run_at": "2031-01-01T00:00:00Z"}
        )


def test_a_run_that_never_begins_expires_at_no_cost() -> None:
    async def scenario() -> None:
        cluster = Cluster({"a": ["DONE"]}, team=solo())
        ref = await cluster.submit(expires_in_seconds=60)
        cluster.clock.shift += timedelta(seconds=61)
        run = await executed(cluster, ref)
        assert (run.status, run.stop_code, run.usage.model_calls) == ("expired", "expired", 0)
        assert not any(isinstance(e.body, Claim) for e in await cluster.entries(ref))
        assert (await cluster.event_types(ref))[-1] == "run.expired"

    asyncio.run(scenario())


def test_a_cancelled_schedule_never_begins() -> None:
    async def scenario() -> None:
        cluster = Cluster({"a": ["DONE"]}, team=solo())
        ref = await cluster.submit(delay_seconds=60)
        assert (await cluster.service.cancel(TENANT, ref.run_id)).status == "cancelled"
        cluster.clock.shift += timedelta(hours=2)
        assert await cluster.reaper().sweep() == 0
        assert await cluster.store.list("due/") == []

    asyncio.run(scenario())


def test_a_marker_without_a_log_is_closed_after_an_hour_so_that_nothing_is_accepted_late() -> None:
    async def scenario() -> None:
        store = FaultStore(MemoryStore())
        cluster = Cluster({"a": ["DONE"]}, team=solo(), store=store)
        held = store.plan(Fault(outcome="held", method="put_new", key="*/log/000000.json"))
        late = asyncio.ensure_future(cluster.submit())
        await held.reached.wait()
        [marker] = await store.list("open/")
        reaper = cluster.reaper()
        await reaper.sweep()
        assert await store.list("open/") == [marker]
        cluster.clock.shift += timedelta(hours=1, minutes=1)
        await reaper.sweep()
        assert await store.list("open/") == []
        held.release.set()
        with pytest.raises(Unavailable):
            await late
        ref = RunRef.parse(marker.rpartition("/")[2])
        [void] = await cluster.entries(ref)
        assert isinstance(void.body, End)
        assert void.body.stop_code == "void"
        assert open_marker(ref) == marker
        with pytest.raises(RunNotFound):
            await cluster.service.get(TENANT, ref.run_id)

    asyncio.run(scenario())


def test_the_marker_of_a_schedule_outlives_a_look_at_it_before_its_log_is_there() -> None:
    async def scenario() -> None:
        store = FaultStore(MemoryStore())
        cluster = Cluster({"a": ["DONE"]}, team=solo(), store=store)
        held = store.plan(Fault(outcome="held", method="put_new", key="*/log/000000.json"))
        accepting = asyncio.ensure_future(cluster.submit(delay_seconds=1))
        await held.reached.wait()
        cluster.clock.shift += timedelta(seconds=2)
        assert await cluster.reaper().sweep() == 0
        held.release.set()
        ref = await accepting
        assert await cluster.reaper().sweep() == 1
        assert (await executed(cluster, ref)).status == "completed"

    asyncio.run(scenario())


def test_a_schedule_without_a_log_is_closed_after_an_hour() -> None:
    async def scenario() -> None:
        store = FaultStore(MemoryStore())
        cluster = Cluster({"a": ["DONE"]}, team=solo(), store=store)
        store.plan(Fault(outcome="unavailable", method="put_new", key="*/log/*", times=None))
        with pytest.raises(Unavailable):
            await cluster.submit(delay_seconds=1)
        store.heal()
        cluster.clock.shift += timedelta(hours=2)
        await cluster.reaper().sweep()
        assert await store.list("due/") == []

    asyncio.run(scenario())


def test_a_run_that_is_handed_over_again_and_again_is_given_up() -> None:
    async def scenario() -> None:
        cluster = Cluster({"a": ["DONE"]}, team=solo())
        ref = await cluster.submit()
        for k in range(20):
            log = cluster.log(ref, f"w{k}")
            state = await log.state()
            assert state is not None
            await log.append(state, Claim(owner=f"w{k}"), [], epoch=state.epoch + 1)
            state = await log.state()
            assert state is not None
            await log.append(state, Yield(why="shutdown"), [], epoch=state.epoch)
        run = await executed(cluster, ref)
        assert (run.status, run.stop_code) == ("failed", "no_progress")

    asyncio.run(scenario())


def test_only_the_failure_that_ended_the_run_is_tried_again() -> None:
    made: list[int] = []

    async def perform(desk: Desk) -> Outcome:
        position = desk.info.position
        made.append(position)
        if position != 1 and made.count(2) < 2:
            return Outcome(error=error_record(ModelError("overloaded", retryable=True)))
        return Outcome(value=position)

    async def program(journal: Journal) -> End:
        # The first failure is dealt with, the last is not.
        [*_, record] = [await journal.call("a", "model", "m", k, perform) for k in range(3)]
        if record.error is not None:
            raise ModelError(record.error.message, retryable=True)
        return End(status="completed", output={"text": "done"})

    async def scenario() -> None:
        cluster = Cluster({}, team=solo())
        ref = await cluster.submit(retry={"max_attempts": 2, "backoff_seconds": 0})
        for owner in ("w1", "w2"):
            worker = Engine(
                store=cluster.store,
                live=cluster.live,
                dispatcher=cluster.queue,
                registry=cluster.registry,
                owner=owner,
                program=lambda spec: program,
            )
            await worker.execute(ref)
            await worker.close()
        assert made == [0, 1, 2, 2]
        assert (await cluster.service.get(TENANT, ref.run_id)).status == "completed"

    asyncio.run(scenario())
