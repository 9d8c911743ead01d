"""Requests to the store: of the life of a run, of runs in flight, and of readers of long runs."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from tests.benchmarks.meter import measured
from tests.benchmarks.ours.durable import service, talk
from tests.benchmarks.ours.models import Halting, Speaker
from tests.benchmarks.ours.stores import Call, RecordingStore
from tests.benchmarks.prices import S3

from teamrun.core.clock import SystemClock
from teamrun.live.memory import MemoryLive
from teamrun.runs.engine.reaper import Reaper
from teamrun.runs.log.announcer import view_key
from teamrun.storage.memory import MemoryStore
from teamrun.testing import MemoryQueue

_KINDS = {
    "put_new": "puts",
    "put": "puts",
    "get": "gets",
    "get_many": "gets",
    "stream": "gets",
    "list": "lists",
    "delete": "deletes",
}

_WALKED = 500
"""The runs of a page of the walk, one page every five minutes."""


class _Clock(SystemClock):
    def __init__(self) -> None:
        self.shift = timedelta()

    def now(self) -> datetime:
        return super().now() + self.shift


def requests_of(calls: Iterable[Call]) -> dict[str, float]:
    """What a bucket would be asked: one request for each object that is read."""
    counts = Counter(dict.fromkeys(_KINDS.values(), 0))
    for name, arguments, _ in calls:
        counts[_KINDS[name]] += len(arguments[0]) if name == "get_many" else 1
    return {kind: float(count) for kind, count in counts.items()}


async def whole_life(*, runs: int, turns: int, delay_s: float) -> dict[str, float]:
    """From the submit to the removal of the open marker, for each run."""
    store = RecordingStore(MemoryStore())
    async with service(Speaker(delay_s), talk(turns), store) as serving:
        refs = [await serving.submit() for _ in range(runs)]
        await asyncio.gather(*map(serving.execute, refs))
        await serving.engine.drained()
        found = requests_of(store.calls)
    return _for_each(found, runs) | {"usd_1000": S3.of(found) / runs * 1000}


async def in_flight(*, runs: int, leases: int, lease_s: float) -> dict[str, float]:
    """For each run whose model does not answer, for each lease: a minute by default."""
    model, store = Halting(0), RecordingStore(MemoryStore())
    async with service(model, talk(1), store, lease=timedelta(seconds=lease_s)) as serving:
        refs = [await serving.submit() for _ in range(runs)]
        tasks = [asyncio.ensure_future(serving.execute(ref)) for ref in refs]
        await model.all_halted(runs)
        await asyncio.sleep(lease_s)
        store.calls.clear()
        await asyncio.sleep(leases * lease_s)
        found = requests_of(store.calls)
        model.go.set()
        await asyncio.gather(*tasks)
    per_month = S3.of(found) / runs / leases * 60 * 24 * 30
    return _for_each(found, runs * leases) | {"usd_month": per_month}


async def sweeps(*, runs: int, minutes: int) -> dict[str, float]:
    """Of a deployment's reaper, for each minute of 12 sweeps, while so many runs are queued."""
    store = RecordingStore(MemoryStore())
    async with service(Speaker(), talk(1), store) as serving:
        for _ in range(runs):
            await serving.submit()
        reaper = Reaper(store=store, live=MemoryLive(), dispatcher=MemoryQueue(), owner="bench")
        await reaper.sweep()
        store.calls.clear()
        for _ in range(12 * minutes):
            await reaper.sweep()
        found = requests_of(store.calls)
    per_month = S3.of(found) / minutes * 60 * 24 * 30
    return _for_each(found, minutes) | {"usd_month": per_month}


async def walk(*, runs: int, turns: int) -> dict[str, float]:
    """Of one visit of the walk over all runs to a run that has ended, the mean of a day."""
    store, clock = RecordingStore(MemoryStore()), _Clock()
    async with service(Speaker(), talk(turns), store) as serving:
        for _ in range(runs):
            await serving.execute(await serving.submit())
        queue = MemoryQueue()
        store.calls.clear()
        for _ in range(24):
            clock.shift += timedelta(hours=1)
            live = MemoryLive()  # shared views do not outlive a walk over many runs
            reaper = Reaper(store=store, live=live, dispatcher=queue, owner="bench", clock=clock)
            await reaper.keep_up()
            await reaper.keep_up()  # the end of the list
        found = requests_of(store.calls)
    visits = _for_each(found, 24 * runs)
    return visits | {"usd_month": S3.of(visits) * 288 * _WALKED * 30}


async def long_get(*, turns: int) -> dict[str, float]:
    """One GET of a run of so many turns that is in no shared view."""
    store = RecordingStore(MemoryStore())
    async with service(Speaker(), talk(turns), store) as serving:
        ref = await serving.submit()
        await serving.execute(ref)
        await serving.engine.close()
        await serving.live.drop_view(view_key(ref))
        store.calls.clear()
        await serving.runs.get(ref.tenant, ref.run_id)
        rounds = len(store.calls)
        found = requests_of(store.calls)
    return found | {"rounds": rounds, "usd_1000": S3.of(found) * 1000}


def _for_each(found: dict[str, float], units: int) -> dict[str, float]:
    return {kind: count / units for kind, count in found.items()}


if __name__ == "__main__":
    measured(
        {
            "whole_life": whole_life,
            "in_flight": in_flight,
            "sweeps": sweeps,
            "walk": walk,
            "long_get": long_get,
        }
    )
