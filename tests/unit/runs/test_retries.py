import asyncio
from datetime import UTC, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.refs import RunRef
from teamrun.errors import IdempotencyConflict, ModelError, RunNotFound, Unavailable
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.execution import Program
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.outcomes import error_record
from teamrun.runs.engine.protocol import CallContext, Outcome, Question
from teamrun.runs.engine.replay import replay
from teamrun.runs.log.entries import CallRecord, Claim, End, Yield
from teamrun.runs.log.keys import open_marker
from teamrun.runs.service.requests import Answer, ForkRequest, RetryRequest, RunRequest
from teamrun.runs.service.resources import Run
from teamrun.storage.memory import MemoryStore
from teamrun.testing.faults import Fault, FaultStore

BUSY = {"error": {"message": "overloaded", "status_code": 529, "retryable": True}}


async def executed(cluster: Cluster, ref: RunRef, owner: str = "w") -> Run:
    worker = cluster.worker(owner)
    await worker.execute(ref)
    await worker.close()
    return await cluster.service.get(TENANT, ref.run_id)


async def test_a_transient_failure_is_tried_again_and_only_the_failed_call_is_made_again() -> None:
    cluster = Cluster({"a": ["one", BUSY]}, team=solo())
    ref = await cluster.submit(retry={"max_attempts": 3, "backoff_seconds": 60})
    run = await executed(cluster, ref, "w1")
    assert (run.status, run.attempt, run.usage.model_calls) == ("queued", 2, 2)
    assert (await executed(cluster, ref, "early")).status == "queued"
    assert await cluster.store.list("open/") == []

    cluster.clock.shift += timedelta(seconds=61)
    cluster.queue.waiting.clear()
    healed = Cluster({"a": ["never asked again", "DONE"]}, team=solo(), store=cluster.store)
    healed.clock.shift = cluster.clock.shift
    assert await cluster.reaper().sweep() == 1
    assert list(cluster.queue.waiting) == [ref]
    run = await executed(healed, ref, "w2")
    assert (run.status, run.attempt, run.usage.model_calls) == ("completed", 2, 3)
    result = await healed.service.result(TENANT, ref.run_id)
    assert [m["content"] for m in result.messages] == ["go", "one", "DONE"]
    types = await healed.event_types(ref)
    assert types.count("run.retried") == 1
    seqs = [e.seq for e in (await healed.service.events(TENANT, ref.run_id, limit=99)).data]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_after_the_last_attempt_the_run_has_failed() -> None:
    cluster = Cluster({"a": [BUSY]}, team=solo())
    ref = await cluster.submit(retry={"max_attempts": 2, "backoff_seconds": 1})
    await executed(cluster, ref, "w1")
    cluster.clock.shift += timedelta(seconds=2)
    run = await executed(cluster, ref, "w2")
    assert (run.status, run.stop_code) == ("failed", "model_error")


@pytest.mark.parametrize("error", [{"message": "no", "status_code": 401, "retryable": False}])
async def test_a_failure_for_good_is_not_tried_again(error: dict[str, Any]) -> None:
    cluster = Cluster({"a": [{"error": error}]}, team=solo())
    ref = await cluster.submit(retry={"max_attempts": 5})
    assert (await executed(cluster, ref)).status == "failed"


async def test_a_scheduled_run_begins_when_its_time_comes() -> None:
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


async def test_a_time_that_has_passed_is_now() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    past = (cluster.clock.now() - timedelta(days=1)).astimezone(UTC)
    ref = await cluster.submit(run_at=past.isoformat())
    assert cluster.queue.sent == [ref]


def test_delay_and_time_together_are_refused() -> None:
    delay, time = {"delay_seconds": 1}, {"run_at": "2031-01-01T00:00:00Z"}
    for one in (delay, time):
        RunRequest.model_validate({"team": "t", "input": "x", **one})
    with pytest.raises(ValidationError) as caught:
        RunRequest.model_validate({"team": "t", "input": "x", **delay, **time})
    assert [error["type"] for error in caught.value.errors()] == ["value_error"]


async def test_a_run_that_never_begins_expires_at_no_cost() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit(expires_in_seconds=60)
    cluster.clock.shift += timedelta(seconds=61)
    run = await executed(cluster, ref)
    assert (run.status, run.stop_code, run.usage.model_calls) == ("expired", "expired", 0)
    assert not any(isinstance(e.body, Claim) for e in await cluster.entries(ref))
    assert (await cluster.event_types(ref))[-1] == "run.expired"


async def test_a_cancelled_schedule_never_begins() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo())
    ref = await cluster.submit(delay_seconds=60)
    assert (await cluster.service.cancel(TENANT, ref.run_id)).status == "cancelled"
    cluster.clock.shift += timedelta(hours=2)
    assert await cluster.reaper().sweep() == 0
    assert await cluster.store.list("due/") == []


async def test_a_marker_without_a_log_is_closed_after_an_hour_against_late_acceptance() -> None:
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
    accepted = await late  # by another run: this one was never acknowledged
    ref = RunRef.parse(marker.rpartition("/")[2])
    [void] = await cluster.entries(ref)
    assert isinstance(void.body, End)
    assert void.body.stop_code == "void"
    assert open_marker(ref) == marker
    assert accepted != ref
    with pytest.raises(RunNotFound):
        await cluster.service.get(TENANT, ref.run_id)


async def test_the_marker_of_a_schedule_outlives_a_look_at_it_before_its_log_is_there() -> None:
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


async def test_a_schedule_without_a_log_is_closed_after_an_hour() -> None:
    store = FaultStore(MemoryStore())
    cluster = Cluster({"a": ["DONE"]}, team=solo(), store=store)
    store.plan(Fault(outcome="unavailable", method="put_new", key="*/log/*", times=None))
    with pytest.raises(Unavailable):
        await cluster.submit(delay_seconds=1)
    store.heal()
    cluster.clock.shift += timedelta(hours=2)
    await cluster.reaper().sweep()
    assert await store.list("due/") == []


async def test_a_key_whose_first_run_was_given_up_is_good_for_another_one() -> None:
    store = FaultStore(MemoryStore())
    cluster = Cluster({"a": ["DONE"]}, team=solo(), store=store)
    request = RunRequest(team="team", input="go")
    store.plan(Fault(outcome="unavailable", method="put_new", key="*/log/*", times=None))
    with pytest.raises(Unavailable):
        await cluster.service.submit(TENANT, request, idempotency_key="k")
    store.heal()
    cluster.clock.shift += timedelta(hours=2)
    await cluster.reaper().sweep()

    first = await cluster.service.submit(TENANT, request, idempotency_key="k")
    again = await cluster.service.submit(TENANT, request, idempotency_key="k")
    assert (first.replayed, again.replayed) == (False, True)
    assert first.run.id == again.run.id
    assert (await executed(cluster, RunRef(TENANT, first.run.id))).status == "completed"
    with pytest.raises(IdempotencyConflict):
        other = RunRequest(team="team", input="other")
        await cluster.service.submit(TENANT, other, idempotency_key="k")


async def test_a_run_that_is_handed_over_again_and_again_is_given_up() -> None:
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


async def test_only_the_failure_that_ended_the_run_is_tried_again() -> None:
    made: list[int] = []

    async def perform(desk: CallContext) -> Outcome:
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

    cluster = Cluster({}, team=solo())
    ref = await cluster.submit(retry={"max_attempts": 2, "backoff_seconds": 0})
    for owner in ("w1", "w2"):
        await driven(cluster, ref, program, owner)
    assert made == [0, 1, 2, 2]
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "completed"


async def driven(cluster: Cluster, ref: RunRef, program: Program, owner: str) -> Run:
    """Execute a run of other code than a team's."""
    worker = Engine(
        store=cluster.store,
        live=cluster.live,
        dispatcher=cluster.queue,
        owner=owner,
        program=lambda spec: program,
    )
    await worker.execute(ref)
    await worker.close()
    return await cluster.service.get(TENANT, ref.run_id)


class Race:
    """A model that fails, and a write and a question that are given up with it."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.fails = True

    async def __call__(self, journal: Journal) -> End:
        writing = asyncio.ensure_future(self.write(journal))
        asking = asyncio.ensure_future(journal.ask(Question(agent="c", type="input", prompt="?")))
        try:
            record = await journal.call("a", "model", "m", 0, self.think)
            if record.error is not None:
                raise ModelError(record.error.message, retryable=True)
        except ModelError:
            writing.cancel()
            asking.cancel()
            journal.emit("thought.created", data={"content": "the model is ill"})
            raise
        journal.emit("thought.created", data={"content": "the model has answered"})
        answer = await asking
        return End(status="completed", output={"text": f"{await writing} {answer.value}"})

    async def write(self, journal: Journal) -> str:
        record = await journal.call(
            "b", "tool", "send", 0, self.send, arguments_digest="of these arguments"
        )
        journal.emit("thought.created", data={"content": "it is sent"})
        return str(record.value)

    async def think(self, desk: CallContext) -> Outcome:
        self.made.append("think")
        if self.fails:
            return Outcome(error=error_record(ModelError("overloaded", retryable=True)))
        return Outcome(value="thought")

    async def send(self, desk: CallContext) -> Outcome:
        self.made.append("send")
        return Outcome(value="sent")


async def answered(cluster: Cluster, ref: RunRef) -> None:
    [action] = (await cluster.service.get(TENANT, ref.run_id)).required_actions
    answer = Answer(action_id=action.id, content="yes")
    await cluster.service.answer(TENANT, ref.run_id, answer)


async def test_an_attempt_repeats_the_calls_that_the_previous_failure_had_cut_off() -> None:
    cluster, race = Cluster({}, team=solo()), Race()
    ref = await cluster.submit(retry={"max_attempts": 2, "backoff_seconds": 0})
    assert (await driven(cluster, ref, race, "w1")).status == "input_required"
    race.fails = False
    await answered(cluster, ref)
    run = await driven(cluster, ref, race, "w2")
    assert (run.status, race.made.count("send")) == ("completed", 1)
    assert run.output is not None
    assert "sent" in str(run.output.text)
    assert await replay(cluster.log(ref), Race(), cluster.clock) is None

    events = (await cluster.service.events(TENANT, ref.run_id, limit=99)).data
    for event in events[1:]:  # from every start, the code takes the same path
        request = ForkRequest(after_seq=event.seq)
        child = (await cluster.service.fork(TENANT, ref.run_id, request)).run
        fork, again = RunRef(TENANT, child.id), Race()
        again.fails = False
        await driven(cluster, fork, again, f"w{event.seq}")
        if (run := await cluster.service.get(TENANT, child.id)).status == "input_required":
            await answered(cluster, fork)
            run = await driven(cluster, fork, again, f"v{event.seq}")
        assert run.status == "completed", event


async def test_calls_after_a_failure_are_not_repeated_if_an_attempt_takes_another_path() -> None:
    made: list[str] = []
    has_failed = asyncio.Event()
    store = FaultStore(MemoryStore())
    failing = store.plan(Fault(outcome="held", method="put_new", key="*/log/000003.json"))

    async def think(desk: CallContext) -> Outcome:
        if made:
            return Outcome(value="thought")
        has_failed.set()
        return Outcome(error=error_record(ModelError("overloaded", retryable=True)))

    async def write(desk: CallContext) -> Outcome:
        """Make `b` together with the failure, and `c` while that is put on record."""
        await has_failed.wait()
        made.append(desk.info.agent)
        if desk.info.agent == "c":
            await failing.reached.wait()
            failing.release.set()
        return Outcome(value=desk.info.agent)

    async def program(journal: Journal) -> End:
        def writing(name: str) -> asyncio.Task[CallRecord]:
            call = journal.call(
                name, "tool", "send", 0, write, arguments_digest="of these arguments"
            )
            return asyncio.ensure_future(call)

        asking = asyncio.ensure_future(journal.call("a", "model", "m", 0, think))
        tasks = [asking, writing("b"), writing("c")]
        done, losers = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if (error := done.pop().result().error) is not None:
            raise ModelError(error.message, retryable=True)
        for loser in losers:
            loser.cancel()
        journal.emit("thought.created", data={"content": "one is there"})
        await journal.call("d", "model", "m", 0, think)
        record = await writing("c")
        return End(status="completed", output={"text": str(record.value)})

    cluster = Cluster({}, team=solo(), store=store)
    ref = await cluster.submit(retry={"max_attempts": 2, "backoff_seconds": 0})
    await driven(cluster, ref, program, "w1")
    run = await driven(cluster, ref, program, "w2")
    assert (run.status, run.output and run.output.text) == ("completed", "c")
    assert made == ["b", "c"]
    assert await replay(cluster.log(ref), program, cluster.clock) is None


async def test_a_failed_run_is_retried_from_before_its_failure() -> None:
    cluster, race = Cluster({}, team=solo()), Race()
    ref = await cluster.submit()
    assert (await driven(cluster, ref, race, "w1")).status == "failed"
    race.fails = False
    request = RetryRequest.model_validate({"from": "here"})
    child = (await cluster.service.retry(TENANT, ref.run_id, request)).run
    again = RunRef(TENANT, child.id)
    await driven(cluster, again, race, "w2")
    await answered(cluster, again)
    assert (await driven(cluster, again, race, "w3")).status == "completed"
    assert race.made.count("send") == 1
