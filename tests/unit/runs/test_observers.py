"""Every entry that a process appends reaches its observers once, whatever observers do."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import Any, NamedTuple

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.ids import new_id
from teamrun.core.refs import RunRef
from teamrun.json_types import JsonObject
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.announcer import Notices, owner_topic, view_key
from teamrun.runs.log.entries import Entry, read_entry
from teamrun.runs.log.keys import open_marker
from teamrun.runs.log.log import LogObserver
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.log.state import RunState, fold
from teamrun.runs.service.requests import Answer, ForkRequest, RetryRequest
from teamrun.storage.base import ObjectStore
from teamrun.storage.memory import MemoryStore
from teamrun.testing.faults import FaultStore, Outcome, StoreCall
from teamrun.tools.function import FunctionTool

UNOBSERVED = "dead"
"""The writer of entries that a test writes itself."""


class Seen(NamedTuple):
    """One call of an observer, serialized: the run goes on, and its events may have objects."""

    run_id: str
    kind: str
    n: int
    entry: bytes
    state: bytes | None


def seen_as(ref: RunRef, entry: Entry, state: RunState | None) -> Seen:
    return Seen(
        ref.run_id,
        entry.body.kind,
        entry.n,
        entry.to_json(),
        None if state is None else state.to_json(),
    )


class Recorder:
    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def __call__(self, ref: RunRef, entry: Entry, state: RunState | None) -> None:
        self.seen.append(seen_as(ref, entry, state))


def look() -> str:
    """Look."""
    return "seen"


def pay() -> str:
    """Pay."""
    return "paid"


ASKING = {
    "type": "round_robin_group_chat",
    "participants": [
        {"type": "assistant_agent", "name": "a", "model": "m"},
        {"type": "user_proxy_agent", "name": "boss"},
    ],
    "termination": {"type": "text_mention", "text": "DONE"},
}

Drive = Callable[[Cluster], Awaitable[RunRef]]


async def accept(cluster: Cluster) -> RunRef:
    return await cluster.submit()


async def execute(cluster: Cluster) -> RunRef:
    ref = await cluster.submit()
    await cluster.worker().execute(ref)
    return ref


async def retry_a_call(cluster: Cluster) -> RunRef:
    ref = await cluster.submit(retry={"max_attempts": 2, "backoff_seconds": 0})
    await cluster.worker("w1").execute(ref)
    await cluster.worker("w2").execute(ref)
    return ref


async def expire(cluster: Cluster) -> RunRef:
    ref = await cluster.submit(expires_in_seconds=1)
    cluster.clock.shift += timedelta(seconds=2)
    await cluster.worker().execute(ref)
    return ref


async def fork(cluster: Cluster) -> RunRef:
    parent = await execute(cluster)
    made = await cluster.service.fork(TENANT, parent.run_id, ForkRequest(after_seq=3))
    return RunRef(TENANT, made.run.id)


async def retry_the_run(cluster: Cluster) -> RunRef:
    parent = await execute(cluster)
    made = await cluster.service.retry(TENANT, parent.run_id, RetryRequest())
    return RunRef(TENANT, made.run.id)


async def answer(cluster: Cluster) -> RunRef:
    ref = await execute(cluster)
    [action] = (await cluster.service.get(TENANT, ref.run_id)).required_actions
    given = Answer(action_id=action.id, content="DONE")
    await cluster.service.answer(TENANT, ref.run_id, given)
    await cluster.worker("w2").execute(ref)
    return ref


async def pause_and_resume(cluster: Cluster) -> RunRef:
    ref = await cluster.submit()
    await cluster.service.pause(TENANT, ref.run_id)
    await cluster.service.resume(TENANT, ref.run_id)
    return ref


async def speak(cluster: Cluster) -> RunRef:
    ref = await cluster.submit()
    await cluster.service.speak(TENANT, ref.run_id, InputMessage(content="more"))
    return ref


async def cancel_while_it_is_queued(cluster: Cluster) -> RunRef:
    ref = await cluster.submit()
    await cluster.service.cancel(TENANT, ref.run_id)
    return ref


async def cancel_while_it_is_claimed(cluster: Cluster) -> RunRef:
    ref = await cluster.submit()
    await cluster.claim_and_die(ref)
    await cluster.service.cancel(TENANT, ref.run_id)
    return ref


async def give_up(cluster: Cluster) -> RunRef:
    def program(spec: Any) -> Any:
        raise ZeroDivisionError

    ref = await cluster.submit()
    await cluster.worker(program=program).execute(ref)
    return ref


async def void(cluster: Cluster) -> RunRef:
    ref = RunRef(TENANT, new_id("run"))
    await cluster.store.put_new(open_marker(ref), b"")
    cluster.clock.shift += timedelta(hours=2)
    await cluster.reaper().sweep()
    return ref


async def delete(cluster: Cluster) -> RunRef:
    """A deletion replaces entries; it appends none."""
    ref = await cancel_while_it_is_queued(cluster)
    await cluster.service.delete(TENANT, ref.run_id)
    return ref


@dataclass(frozen=True)
class Case:
    drive: Drive
    kinds: str
    """Of the entries that are observed, in order; several of a kind in a row count once."""
    team: dict[str, Any] = field(default_factory=solo)
    script: Sequence[Any] = ("DONE",)
    tools: Sequence[FunctionTool] = ()


LOOK: JsonObject = {"name": "look", "arguments": {}}
PAY: JsonObject = {"name": "pay", "arguments": {}}
PAYING = Case(
    execute,
    "accepted claim step intent step end",
    team=solo("pay"),
    script=({"tool_calls": [PAY]}, "DONE"),
    tools=(FunctionTool(pay, effects="write"),),
)
APPROVED = Case(
    execute,
    "accepted claim step wait",
    team=solo("look", "pay"),
    script=({"tool_calls": [LOOK, PAY]},),
    tools=(FunctionTool(look), FunctionTool(pay, needs_approval=True)),
)
"""The question is in a step, with the outcome of the other call."""
RETRIED = Case(
    retry_a_call,
    "accepted claim step yield claim step end",
    script=({"error": {"message": "away", "retryable": True}}, "DONE"),
)
CASES = (
    Case(accept, "accepted"),
    Case(execute, "accepted claim end"),
    PAYING,
    APPROVED,
    RETRIED,
    Case(execute, "accepted claim step wait", team=ASKING, script=("shall I?",)),
    Case(answer, "accepted claim step wait signal claim end", team=ASKING, script=("?",)),
    Case(expire, "accepted end"),
    Case(fork, "accepted"),
    Case(retry_the_run, "accepted"),
    Case(pause_and_resume, "accepted signal"),
    Case(speak, "accepted signal"),
    Case(cancel_while_it_is_queued, "accepted end"),
    Case(cancel_while_it_is_claimed, "accepted signal"),
    Case(give_up, "accepted end"),
    Case(void, "end"),
    Case(delete, "accepted end"),
)
table = pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.drive.__name__}: {case.kinds}"
)


def cluster_of(case: Case, *observe: LogObserver, store: ObjectStore | None = None) -> Cluster:
    return Cluster(
        {"a": [*case.script]},
        team=case.team,
        tools=[*case.tools],
        store=store,
        observe=observe,
    )


async def assert_observed(cluster: Cluster, case: Case, ref: RunRef, seen: list[Seen]) -> None:
    """What was observed is the log itself, with the state that follows from it."""
    own = [each for each in seen if each.run_id == ref.run_id]
    assert " ".join(kind for kind, _ in groupby(each.kind for each in own)) == case.kinds
    if case.drive is delete:
        return
    entries = await cluster.entries(ref)
    assert own == [
        seen_as(ref, entry, fold(entries[: entry.n + 1]))
        for entry in entries
        if entry.writer != UNOBSERVED
    ]


@table
async def test_an_entry_of_every_writer_reaches_an_added_observer_once(case: Case) -> None:
    recorder = Recorder()
    cluster = cluster_of(case, recorder)
    ref = await case.drive(cluster)
    await assert_observed(cluster, case, ref, recorder.seen)


@table
async def test_an_entry_whose_response_was_lost_is_observed_too(case: Case) -> None:
    answered = set[str]()

    def lost_once(call: StoreCall) -> Outcome | None:
        if call.method != "put_new" or "/log/" not in call.key or call.key in answered:
            return None
        answered.add(call.key)
        return "reply_lost"

    recorder = Recorder()
    cluster = cluster_of(case, recorder, store=FaultStore(MemoryStore(), decide=lost_once))
    ref = await case.drive(cluster)
    await assert_observed(cluster, case, ref, recorder.seen)
    assert len(answered) >= len(case.kinds.split())


@table
@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
async def test_an_observer_that_fails_is_logged_and_changes_nothing(
    case: Case, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    failed: list[tuple[str, int]] = []

    def fails(ref: RunRef, entry: Entry, state: RunState | None) -> None:
        failed.append((ref.run_id, entry.n))
        raise error("a bug")

    recorder = Recorder()
    cluster = cluster_of(case, fails, recorder)
    with caplog.at_level(logging.ERROR):
        ref = await case.drive(cluster)
    await assert_observed(cluster, case, ref, recorder.seen)
    logged = [vars(record) for record in caplog.records]
    assert [
        (each["run_id"], each["entry"])
        for each in logged
        if each["action"] == "log.observer_failed"
    ] == failed


@table
async def test_the_shared_view_never_has_another_status_than_the_log(case: Case) -> None:
    recorder, live = Recorder(), MemoryLive()
    ref = await case.drive(cluster_of(case, recorder))
    notices = Notices(live)
    for seen in recorder.seen:
        state = seen.state and RunState.from_json(seen.state)
        if seen.run_id == ref.run_id and state:
            notices.appended(ref, read_entry(seen.entry), state)
            await notices.flushed()
            [view] = await live.views([view_key(ref)])
            assert view is not None
            assert RunState.from_json(view.state).status == state.status


async def test_a_writer_that_loses_the_race_has_nothing_observed() -> None:
    recorder = Recorder()
    cluster = Cluster({"a": []}, team=solo(), observe=[recorder])
    ref = await cluster.submit()
    await asyncio.gather(
        cluster.service.speak(TENANT, ref.run_id, InputMessage(content="one")),
        cluster.service.speak(TENANT, ref.run_id, InputMessage(content="two")),
    )
    entries = await cluster.entries(ref)
    assert [each.n for each in recorder.seen] == [0, 1, 2]
    assert [each.entry for each in recorder.seen] == [entry.to_json() for entry in entries]


@pytest.mark.parametrize("again", [False, True], ids=["first", "repeated"])
@pytest.mark.parametrize("signal", ["cancel", "pause"])
async def test_a_signal_notifies_the_owner_also_when_it_is_repeated(
    signal: str, again: bool
) -> None:
    cluster = Cluster({"a": []}, team=solo())
    ref = await cluster.submit()
    await cluster.claim_and_die(ref)
    send = getattr(cluster.service, signal)
    if again:
        await send(TENANT, ref.run_id)
        await cluster.service.close()
    async with cluster.live.subscribe(owner_topic("dead")) as messages:
        await send(TENANT, ref.run_id)
        assert await asyncio.wait_for(anext(messages), 10) == str(ref).encode()
