"""The invariants of batches at the end of a schedule: from their logs, and from those of items."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.simulation.batches import KnownBatch
from tests.simulation.deployment import Deployment
from tests.simulation.processes import TENANT
from tests.simulation.team_file import registry
from tests.simulation.world import VirtualClock

from teamrun.batches.entries import Step
from teamrun.batches.keys import BatchRef, item_run_id, todo_key
from teamrun.batches.service import BatchService
from teamrun.components.catalog import Teams
from teamrun.core.refs import RunRef
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.state import RunState

__all__ = ["misdriven"]

_Place = tuple[int, int]
"""A round and a position in it."""


@dataclass
class _Told:
    """A batch, as its log and the logs of its items have it."""

    ref: BatchRef
    batch: KnownBatch
    runs: dict[_Place, RunState]
    indices: list[list[int]]
    """The items of each round, by their position in the input."""

    def newest(self, index: int) -> tuple[RunState | None, str]:
        """The newest run of an item, and its status for clients, which an unstarted retry keeps."""
        found, status = None, "cancelled"
        for number, indices in enumerate(self.indices, 1):
            if index in indices:
                run = self.runs.get((number, indices.index(index)))
                if run is not None and run.end is not None:
                    found, status = run, run.end.status
        return found, status


async def misdriven(world: Deployment) -> list[str]:
    """All violations."""
    found: list[str] = []
    for batch_id, batch in world.desk.batches.items() if world.desk else ():
        if batch.spec is not None:
            ref = BatchRef(TENANT, batch_id)
            if not batch.is_over:
                found.append(f"I1 {batch_id} goes on for ever: {_kinds(batch)}")
                continue
            told = await _told(world, ref, batch)
            violations = [*_of_log(told), *_of_items(told), *(await _of_reads(world, told))]
            found += [f"{violation} ({batch_id})" for violation in violations]
            _count(world, batch)
    return found


def _kinds(batch: KnownBatch) -> str:
    return " ".join(entry.body.kind for entry in batch.entries)


def _count(world: Deployment, batch: KnownBatch) -> None:
    for number, current in enumerate(batch.rounds):
        assert current.end is not None
        world.stats[f"batch {current.end.status}"] += 1
        world.stats["batch retried"] += number > 0
        world.stats["items left out"] += current.fed < current.size


async def _told(world: Deployment, ref: BatchRef, batch: KnownBatch) -> _Told:
    assert batch.spec is not None
    runs: dict[_Place, RunState] = {}
    for place, (run_id, _) in batch.items.items():
        log = RunLog(world.store, RunRef(TENANT, run_id), writer="reader", clock=VirtualClock())
        if (state := await log.state()) is not None:
            runs[place] = state
    stored = [await world.store.get(todo_key(ref, n)) for n in range(2, len(batch.rounds) + 1)]
    indices = [[*range(batch.spec.total)], *(json.loads(each) for each in stored)]
    return _Told(ref, batch, runs, indices)


def _of_log(told: _Told) -> Iterator[str]:
    """The batch's own log: each block of a round is settled once, with its sums."""
    batch, seq, number = told.batch, 1, 0
    assert batch.spec is not None
    settled = Counter[_Place]()
    for entry in batch.entries:
        if entry.seq != seq:
            yield f"I10 entry {entry.n} begins at event {entry.seq}, not {seq}"
        seq = entry.seq + len(entry.events)
        is_new = entry.body.kind == "accepted" or getattr(entry.body, "signal", "") == "retry"
        number += is_new
        for each in entry.body.settled if isinstance(entry.body, Step) else ():
            settled[number, each.block] += 1
            start = each.block * batch.spec.block
            runs = [told.runs.get((number, start + n)) for n in range(batch.spec.block)]
            ends = Counter(run.end.status for run in runs if run is not None and run.end)
            if dict(ends) != each.tally.by_status:
                yield f"block {each.block} of round {number} has {each.tally}, and ended {ends}"
    for number, current in enumerate(batch.rounds, 1):
        for block in range(-(-current.fed // batch.spec.block)):
            if settled[number, block] != 1:
                yield f"block {block} of round {number} was settled {settled[number, block]} times"


def _of_items(told: _Told) -> Iterator[str]:
    """Each item that has started has one run in a round, and no other has."""
    completed = set[int]()
    batch = told.batch
    assert batch.spec is not None
    for number, current in enumerate(batch.rounds, 1):
        indices = told.indices[number - 1]
        if indices != [index for index in range(batch.spec.total) if index not in completed]:
            yield f"round {number} has {indices}, and {sorted(completed)} had completed"
        started = {position for each, position in batch.items if each == number}
        if started != set(range(current.fed)):
            yield f"I1 round {number} has {current.fed} items fed, and runs of {sorted(started)}"
        for position in sorted(started):
            run_id, item = batch.items[number, position]
            if item.index != indices[position]:
                yield f"the item at {position} of round {number} is {item.index}"
            if run_id != item_run_id(told.ref, number, item.index):
                yield f"I1 item {item.index} of round {number} has the run {run_id}"
            run = told.runs.get((number, position))
            if run is not None and run.end is not None and run.end.status == "completed":
                completed.add(item.index)
        is_whole = current.fed == current.size
        if current.end is not None and current.end.status == "completed" and not is_whole:
            yield f"round {number} completed with {current.fed} of {current.size} items"
        if current.is_cancelled and current.end and current.end.status != "cancelled":
            yield f"I8 round {number} was cancelled, and ended {current.end.status}"


async def _of_reads(world: Deployment, told: _Told) -> list[str]:
    """What clients read at the end."""
    service = BatchService(
        store=world.store, live=MemoryLive(), teams=Teams(registry()), clock=VirtualClock()
    )
    batch_id, found = told.ref.batch_id, list[str]()
    batch = await service.get(TENANT, batch_id)
    total = batch.counts.total
    newest = [told.newest(index) for index in range(total)]
    counts = Counter(status for _, status in newest)
    shown = {name: n for name, n in batch.counts.model_dump().items() if n and name != "total"}
    if shown != dict(counts):
        found.append(f"it counts {shown}, and its items are {dict(counts)}")
    page = await service.items(TENANT, batch_id, limit=1_000)
    if [(item.index, item.status) for item in page.data] != [
        (index, status) for index, (_, status) in enumerate(newest)
    ]:
        found.append(f"/items has {[item.status for item in page.data]}, not {newest}")
    results, _ = await service.results(TENANT, batch_id)
    lines = [line async for data in results.lines() for line in data.splitlines()]
    told_of = [(each["index"], each["run_id"], each["status"]) for each in map(json.loads, lines)]
    ended = [
        (index, run.spec.run_id, run.end.status)
        for index, (run, _) in enumerate(newest)
        if run is not None and run.end is not None
    ]
    if told_of != ended:
        found.append(f"/results has {told_of}, and the items ended {ended}")
    used = sum(run.usage.input_tokens for run in told.runs.values())
    if batch.usage.input_tokens != used:
        found.append(f"it has used {batch.usage.input_tokens} tokens, and its items {used}")
    return found
