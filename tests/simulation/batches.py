"""Batches in a simulated deployment: what its processes have, and what is known from outside.

The desk sees each object when it is stored. So it notices at once if an item starts that no entry
of the batch's log allows.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.ports import LivePort, QueuePort, StorePort
from tests.simulation.weather import LEASE

from teamrun.batches.ends import ItemEnds
from teamrun.batches.entries import Accepted, BatchEntry, End, Signal, Step
from teamrun.batches.feeder import Feeder
from teamrun.batches.hooks import pre_commit
from teamrun.batches.log import PreCommit
from teamrun.batches.service import BatchService
from teamrun.batches.spec import BatchSpec
from teamrun.batches.webhooks import BatchWebhooks
from teamrun.core.refs import RunRef
from teamrun.errors import RunEnded
from teamrun.runs.log.archive import Duty
from teamrun.runs.log.entries import Accepted as AcceptedRun
from teamrun.runs.log.entries import Entry
from teamrun.runs.log.observers import Observers
from teamrun.runs.log.spec import ItemRef
from teamrun.runs.service.service import RunService
from teamrun.runs.service.signals import Signals
from teamrun.webhooks.parts import WebhookParts

if TYPE_CHECKING:
    from tests.simulation.processes import Process

__all__ = ["BatchDesk", "BatchParts", "KnownBatch", "KnownRound"]


@dataclass(slots=True)
class KnownRound:
    """One round of a batch."""

    size: int
    fed: int = 0
    is_cancelled: bool = False
    end: End | None = None


@dataclass(slots=True)
class KnownBatch:
    """The log of a batch, as it became durable."""

    spec: BatchSpec | None = None
    entries: list[BatchEntry] = field(default_factory=list[BatchEntry])
    rounds: list[KnownRound] = field(default_factory=list[KnownRound])
    items: dict[tuple[int, int], tuple[str, ItemRef]] = field(
        default_factory=dict[tuple[int, int], tuple[str, ItemRef]]
    )
    """The run of each item that was created, by round and position."""

    @property
    def is_over(self) -> bool:
        return self.spec is None or self.rounds[-1].end is not None


class BatchDesk:
    """The batches of one world.

    Args:
        fault: Called with each violation.
    """

    def __init__(self, fault: Callable[[str], None]) -> None:
        self._fault = fault
        self.batches: dict[str, KnownBatch] = {}
        self.items: set[str] = set()
        """The runs of items."""

    def logged(self, batch_id: str, data: bytes) -> None:
        """An entry of a batch's log was created."""
        batch = self.batches.setdefault(batch_id, KnownBatch())
        entry = BatchEntry.model_validate_json(data)
        if entry.n != len(batch.entries):
            self._fault(f"I2 {batch_id} has entry {entry.n} after {len(batch.entries)} entries")
        batch.entries.append(entry)
        match entry.body:
            case Accepted() as accepted:
                batch.spec = accepted.spec
                batch.rounds.append(KnownRound(accepted.spec.total))
            case Step() as step:
                self._stepped(batch_id, batch.rounds[-1], step)
            case Signal(signal="cancel"):
                batch.rounds[-1].is_cancelled = True
            case Signal(signal="retry") as retry:
                batch.rounds.append(KnownRound(retry.count))
            case End() as end if batch.rounds:
                if batch.rounds[-1].end is not None:
                    self._fault(f"I2 {batch_id} has two ends in one round")
                batch.rounds[-1].end = end
            case _:
                pass

    def _stepped(self, batch_id: str, current: KnownRound, step: Step) -> None:
        if current.end is not None:
            self._fault(f"I2 {batch_id} has a step after its end")
        if current.is_cancelled and step.fed > current.fed:
            self._fault(f"I8 items of {batch_id} start after it was cancelled")
        if step.fed < current.fed or step.fed > current.size:
            self._fault(f"I2 {batch_id} has {step.fed} items fed after {current.fed}")
        current.fed = step.fed

    def created(self, run_id: str, entry: Entry) -> None:
        """Entry 0 of a run was created; it may be that of an item."""
        if not isinstance(entry.body, AcceptedRun) or (item := entry.body.spec.batch) is None:
            return
        self.items.add(run_id)
        batch, place = self.batches[item.batch_id], (item.round, item.position)
        if place in batch.items:
            self._fault(f"I1 item {place} of {item.batch_id} was created twice")
        batch.items[place] = run_id, item
        if item.round > len(batch.rounds) or item.position >= batch.rounds[item.round - 1].fed:
            self._fault(f"I1 item {place} of {item.batch_id} was created before its step")


class BatchParts:
    """What one process has for batches.

    Args:
        process: The process.
        webhooks: Its webhooks, if there are any in the world.
    """

    def __init__(self, process: "Process", webhooks: WebhookParts | None) -> None:
        self._process = process
        self._store, self._live = StorePort(process), LivePort(process)
        self._webhooks = webhooks
        self.ends = ItemEnds(self._live)
        self.duty: Duty = self.ends.record

    @property
    def _pre_commit(self) -> PreCommit | None:
        return self._webhooks and partial(pre_commit, self._webhooks.outbox)

    def service(self, runs: RunService) -> BatchService:
        """The service of an API process."""
        webhooks = BatchWebhooks()
        if self._webhooks is not None:
            changed_at = self._webhooks.endpoints.changed_at
            webhooks = BatchWebhooks(changed_at=changed_at, pre_commit=self._pre_commit)
        return BatchService(
            store=self._store,
            live=self._live,
            teams=runs.teams,
            clock=self._process.clock,
            webhooks=webhooks,
        )

    def feeder(self, observers: Observers, duties: tuple[Duty, ...]) -> Feeder:
        """The feeder of a worker."""
        process, queue = self._process, QueuePort(self._process)
        signals = Signals(
            store=self._store,
            live=self._live,
            dispatcher=queue,
            clock=process.clock,
            duties=duties,
            observers=observers,
        )

        async def cancel(ref: RunRef, reason: str | None) -> None:
            with contextlib.suppress(RunEnded):
                await signals.cancel(ref.tenant, ref.run_id, reason=reason)

        return Feeder(
            store=self._store,
            live=self._live,
            dispatcher=queue,
            owner=process.name,
            cancel=cancel,
            lease=timedelta(seconds=LEASE),
            clock=process.clock,
            observers=observers.rows,
            pre_commit=self._pre_commit,
            run_pre_commit=observers.pre_commit,
        )
