"""Batches in process over real parts; a test does each step of the feeder and of the workers."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from tests.support.runs import TENANT, Cluster, solo

from teamrun.batches.driver import BatchDriver
from teamrun.batches.ends import ItemEnds
from teamrun.batches.feeder import Feeder
from teamrun.batches.keys import BatchRef
from teamrun.batches.requests import BatchRequest
from teamrun.batches.resources import Batch
from teamrun.batches.service import BatchService
from teamrun.batches.sources import Sources
from teamrun.batches.webhooks import BatchWebhooks
from teamrun.core.refs import RunRef
from teamrun.errors import RunEnded
from teamrun.json_types import JsonObject
from teamrun.runs.engine.engine import Engine
from teamrun.runs.log.archive import DUTIES
from teamrun.runs.log.log import PreCommit
from teamrun.runs.log.observers import Observers
from teamrun.runs.service.signals import Signals
from teamrun.storage.base import ObjectStore

__all__ = ["Batches", "jsonl", "pieces"]


def jsonl(*items: JsonObject | str) -> bytes:
    """A file with an item, or a line as it is, per line."""
    lines = [item if isinstance(item, str) else json.dumps(item) for item in items]
    return "".join(f"{line}\n" for line in lines).encode()


async def pieces(data: bytes, size: int = 1 << 16) -> AsyncIterator[bytes]:
    """Data as it arrives over a connection."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


class Batches:
    """A cluster with a service of batches; what is in memory can be thrown away and made anew."""

    def __init__(
        self,
        script: dict[str, list[Any]] | None = None,
        *,
        store: ObjectStore | None = None,
        of: "Batches | None" = None,
        webhooks: BatchWebhooks | None = None,
        sources: Sources | None = None,
        **options: Any,
    ) -> None:
        self._webhooks = webhooks or BatchWebhooks()
        self.run_pre_commit: Sequence[PreCommit] = ()
        """Called by the driver before each entry of a run."""
        script = {"a": ["DONE"]} if script is None else script
        if of is not None:
            shared = {"queue": of.cluster.queue, "clock": of.cluster.clock, "live": of.cluster.live}
            options = {**shared, **options}
            store = store or of.cluster.store
        self.cluster = Cluster(script, team=options.pop("team", solo()), store=store, **options)
        cluster = self.cluster
        self.ends = ItemEnds(cluster.live)
        self.observers = Observers(cluster.live, self.ends.appended)
        self.duties = (*DUTIES, self.ends.record)
        self.service = BatchService(
            store=cluster.store,
            live=cluster.live,
            teams=cluster.service.teams,
            clock=cluster.clock,
            webhooks=self._webhooks,
            sources=sources,
        )
        self.signals = Signals(
            store=cluster.store,
            live=cluster.live,
            dispatcher=cluster.queue,
            clock=cluster.clock,
            duties=self.duties,
            observers=self.observers,
        )
        self._drivers: dict[str, BatchDriver] = {}
        self._engine: Engine | None = None

    @property
    def store(self) -> ObjectStore:
        return self.cluster.store

    async def submit(self, items: Iterable[JsonObject | str], **request: Any) -> Batch:
        """Submit inline items; a text is the input of an item."""
        given = [{"input": item} if isinstance(item, str) else item for item in items]
        asked = BatchRequest.model_validate({"team": "team", "items": given, **request})
        return (await self.service.submit(TENANT, asked)).batch

    async def submit_file(self, data: bytes, *, name: str = "tasks.jsonl", **request: Any) -> Batch:
        """Upload a file and submit its items."""
        file = await self.service.files.upload(TENANT, pieces(data), name=name, limit=10**9)
        asked = BatchRequest.model_validate({"team": "team", "input_file_id": file.id, **request})
        return (await self.service.submit(TENANT, asked)).batch

    async def cancel_run(self, ref: RunRef, reason: str | None) -> None:
        with suppress(RunEnded):
            await self.signals.cancel(ref.tenant, ref.run_id, reason=reason)

    def feeder(self, owner: str = "feeder") -> Feeder:
        cluster = self.cluster
        return Feeder(
            store=cluster.store,
            live=cluster.live,
            dispatcher=cluster.queue,
            owner=owner,
            cancel=self.cancel_run,
            lease=cluster.lease,
            clock=cluster.clock,
            observers=self.observers.rows,
            pre_commit=self._webhooks.pre_commit,
            run_pre_commit=self.run_pre_commit,
        )

    def driver(self, batch: Batch) -> BatchDriver:
        """The one driver of the batch in this process."""
        if batch.id not in self._drivers:
            driver = self.feeder().driver(BatchRef(TENANT, batch.id))
            self._drivers[batch.id] = driver
        return self._drivers[batch.id]

    async def work(self, most: int | None = None) -> int:
        """Execute runs that wait in the queue; returns how many."""
        if self._engine is None:
            self._engine = self.cluster.worker(duties=self.duties)
        count = 0
        while self.cluster.queue.waiting and count != most:
            await self._engine.execute(self.cluster.queue.waiting.popleft())
            count += 1
        return count

    async def finish(self, batch: Batch) -> Batch:
        """Feed and work until the batch has ended, or nothing is left to do."""
        while not await self.driver(batch).step():
            if not await self.work():
                break
        return await self.service.get(TENANT, batch.id)

    async def after_a_lease(self) -> None:
        """Let the leases of processes that are gone expire."""
        self.cluster.clock.shift += self.cluster.lease + timedelta(seconds=10)

    async def results(self, batch: Batch) -> list[JsonObject]:
        """The lines of the results."""
        found, _ = await self.service.results(TENANT, batch.id)
        data = b"".join([chunk async for chunk in found.lines()])
        return [json.loads(line) for line in data.splitlines()]

    async def errors(self, batch: Batch) -> list[JsonObject]:
        """The lines of the errors."""
        found, _ = await self.service.results(TENANT, batch.id)
        data = b"".join([chunk async for chunk in found.failures()])
        return [json.loads(line) for line in data.splitlines()]
