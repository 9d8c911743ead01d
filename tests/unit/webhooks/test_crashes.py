"""A process is killed at each write, before it or after it: every event is delivered."""

import asyncio
import contextlib
from collections import Counter
from datetime import timedelta
from typing import Literal, NamedTuple

import pytest
from tests.support.runs import TENANT, Cluster, ShiftedClock, solo
from tests.support.webhooks import URL, Office, PlannedSender

from teamrun.core.refs import RunRef
from teamrun.runs.log.keys import hook_folder
from teamrun.runs.log.webhook import EVENT_TYPES
from teamrun.testing import Fault, FaultStore, MemoryStore
from teamrun.webhooks.records import read_all_records
from teamrun.webhooks.requests import WebhookRequest

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)

Moment = Literal["held", "reply_held"]
"""`held`: the process dies before the write. `reply_held`: it dies after it."""


class Fate(NamedTuple):
    """How a run ended whose process was killed once."""

    office: Office
    ref: RunRef
    write: str | None
    """The write at which it was killed; None if it had ended before."""


async def killed_at(nth: int, moment: Moment, *, fails: bool) -> Fate:
    """Execute a run and deliver its events in a process that dies at a write, then in another one.

    Args:
        nth: The number of writes that succeed first.
        moment: Whether the write is still made.
        fails: Whether the receiver refuses each event once.
    """
    memory = MemoryStore()
    survivor = Office(store=memory)
    if fails:
        seen = Counter[str]()

        def decide(event: dict[str, str]) -> int:
            seen[event["id"]] += 1
            return 204 if seen[event["id"]] > 1 else 500

        survivor.planned.decide = decide
    endpoint = WebhookRequest.model_validate({"url": URL, "events": ["*"]})
    hook = await survivor.service.create(TENANT, endpoint)
    ref = await survivor.submit(events=["run.*"])
    await survivor.drained()

    store = FaultStore(memory)
    death = store.plan(Fault(outcome=moment, method="[pd]*", after=nth))
    victim = Office(store=store, clock=survivor.clock, sender=survivor.planned)
    execution = asyncio.create_task(victim.cluster.worker("victim").execute(ref))
    deaths = asyncio.create_task(death.reached.wait())
    rest = asyncio.create_task(_all_of(execution, victim))
    await asyncio.wait([deaths, rest], return_when=asyncio.FIRST_COMPLETED)
    write = None
    if death.reached.is_set():
        store.plan(Fault(outcome="held", times=None))
        write = next(
            f"{call.method} {call.key.partition('/')[0]}" for call in reversed(store.calls)
        )
        await asyncio.sleep(0)
    for task in (execution, deaths, rest):
        task.cancel()
    await asyncio.gather(execution, deaths, rest, return_exceptions=True)
    assert victim.parts.delivery is not None
    await victim.parts.delivery.deliverer.shutdown(timedelta())

    await _finish(survivor, ref)
    assert {each.delivery.target for each in await read_all_records(memory, hook_folder(ref))} == {
        "own",
        hook.id,
    }
    return Fate(survivor, ref, write)


async def _all_of(execution: asyncio.Task[object], office: Office) -> None:
    await asyncio.wait([execution])
    await office.drained()


async def _finish(office: Office, ref: RunRef) -> None:
    """Another process takes everything up, as time passes."""
    worker = office.cluster.worker("survivor")
    for _ in range(12):
        office.clock.shift += MINUTE
        with contextlib.suppress(Exception):
            await worker.execute(ref)
        await office.drained()
        await office.sweep()


@pytest.mark.parametrize("moment", ["held", "reply_held"])
@pytest.mark.parametrize("fails", [False, True], ids=["accepted", "refused once"])
async def test_a_process_that_dies_at_any_write_loses_no_event(moment: Moment, fails: bool) -> None:
    points: list[str] = []
    for nth in range(200):
        office, ref, write = await killed_at(nth, moment, fails=fails)
        entries = await office.cluster.entries(ref)
        due = {
            f"{ref.run_id}-{seq}"
            for entry in entries
            for seq, event in enumerate(entry.events, entry.seq)
            if event.type in EVENT_TYPES
        }
        assert entries[-1].body.kind == "end", write
        assert set(office.planned.delivered) == due, (nth, write)
        records = await read_all_records(office.store, hook_folder(ref))
        outcomes = {each.settled.outcome for each in records if each.settled is not None}
        assert (len(records), outcomes) == (2 * len(due), {"delivered"}), (nth, write)
        assert await office.markers() == [], (nth, write)
        await office.cluster.close()
        if write is None:
            break
        points.append(write)
    assert len(points) >= 10
    assert {point.partition(" ")[2] for point in points} >= {"hooks", "t"}


async def test_a_receiver_that_is_killed_with_its_answers_gets_each_event_again() -> None:
    office = Office(clock=(clock := ShiftedClock()), sender=(sender := PlannedSender(clock)))
    answers = iter(["timeout", 204])
    sender.decide = lambda _: next(answers)
    await office.ended()
    office.clock.shift += 10 * SECOND
    await office.sweep()

    assert len(sender.tries) == 2
    assert len(set(sender.delivered)) == 1


async def test_an_entry_whose_process_dies_right_after_it_is_found_by_a_sweep() -> None:
    store = FaultStore(memory := MemoryStore())
    office = Office(store=store)
    ref = await office.submit()
    death = store.plan(
        Fault(outcome="reply_held", method="put_new", key=f"*{ref.run_id}/log/*2.json")
    )
    task = asyncio.create_task(office.cluster.worker().execute(ref))
    await death.reached.wait()
    store.plan(Fault(outcome="held", times=None))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    other = Office(store=memory, clock=office.clock)
    assert await other.markers() != []
    other.clock.shift += MINUTE + SECOND
    await other.sweep()
    assert [event["type"] for event in other.planned.tries] == ["run.completed"]
    cluster = Cluster({}, team=solo(), store=memory)
    assert [event for event in await cluster.event_types(ref) if event == "run.completed"]
