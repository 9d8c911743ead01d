"""Clients with batches: they submit, look, pause, resume, cancel, and retry what has failed."""

import contextlib
from typing import Any

from tests.simulation.deployment import Deployment
from tests.simulation.hooks import OWN_URL
from tests.simulation.line import Line, NoAnswer
from tests.simulation.processes import TENANT

from teamrun.batches.entries import FINAL
from teamrun.batches.requests import BatchRequest
from teamrun.batches.resources import Batch
from teamrun.errors import BatchEnded, BatchNotFinished, DefinitionError

__all__ = ["BatchClients"]


class BatchClients:
    """The clients that have batches."""

    def __init__(self, world: Deployment, line: Line) -> None:
        self._world = world
        self._line = line
        self._rng = world.rng
        self._ledger = world.ledger

    def come(self) -> None:
        """Submit a batch, perhaps with an impatient twin."""
        request, key = self._some_request(), self._line.key()
        if self._rng.random() < 0.3:
            self._world.visit(self._submit(request, key))
        self._world.visit(self._submit(request, key, attend=True))

    def _some_request(self) -> BatchRequest:
        rng = self._rng
        count = rng.choice((3, 4, 4, 5, 6, 9))
        wanted: dict[str, Any] = {"max_concurrency": rng.choice((1, 2, 3, 8))}
        for chance, fields in (
            (0.3, {"retry": {"max_attempts": 2, "backoff_seconds": 1}}),
            (0.15, {"on_item_failure": "stop"}),
            (0.1, {"completion_window_seconds": rng.choice((5, 30))}),
            (0.1, {"limits": {"max_tokens": rng.choice((1, 8, 40))}}),
            (0.1, {"max_failure_rate": 0.2, "min_sample": 2}),
            (0.3, {"item_limits": {"max_model_calls": 1}}),
        ):
            if rng.random() < chance:
                wanted |= fields
        if self._world.hooks is not None and rng.random() < 0.8:
            wanted["webhook"] = {"url": OWN_URL, "events": ["batch.*"]}
        items = [{"input": str(rng.randrange(1 << 32))} for _ in range(count)]
        return BatchRequest.model_validate({"team": "t", "items": items, **wanted})

    async def _submit(self, request: BatchRequest, key: str, *, attend: bool = False) -> None:
        await self._line.pause(0, 0, 0.5, 3)
        made = await self._line.insist(
            lambda api: api.batches.submit(TENANT, request, idempotency_key=key)
        )
        batch_id = made.batch.id
        self._ledger.by_key[key].add(batch_id)
        self._ledger.batches.add(batch_id)
        if not attend:
            return
        visits = [self._attend(batch_id)]
        for chance, visit in ((0.25, self._cancel), (0.25, self._pause)):
            if self._rng.random() < chance:
                visits.append(visit(batch_id))
        for visit in visits:
            self._world.visit(visit)

    async def _attend(self, batch_id: str) -> None:
        """Look at a batch until it has ended, and retry it once or twice."""
        rounds = self._rng.choice((0, 0, 1, 2))
        revision = 0
        while True:
            batch = await self._line.insist(lambda api: api.batches.get(TENANT, batch_id))
            self._look(batch, revision)
            revision = batch.revision
            if batch.status in FINAL:
                if not rounds or not await self._retry(batch):
                    return
                rounds -= 1
            if batch.status == "paused" and self._rng.random() < 0.3:
                with contextlib.suppress(BatchEnded):
                    await self._line.insist(lambda api: api.batches.resume(TENANT, batch_id))
            await self._line.pause(0.3, 1.0, 4.0)

    def _look(self, batch: Batch, revision: int) -> None:
        counts = batch.counts.model_dump()
        if counts.pop("total") != sum(counts.values()):
            self._ledger.fault(f"{batch.id} has counts that are not whole: {batch.counts}")
        if min(counts.values()) < 0:
            self._ledger.fault(f"{batch.id} has negative counts: {batch.counts}")
        if batch.revision < revision:
            self._ledger.fault(f"I10 {batch.id} went back from {revision} to {batch.revision}")

    async def _retry(self, batch: Batch) -> bool:
        """Begin a round with what has not completed; whether there is something."""
        key = self._line.key()
        with contextlib.suppress(BatchNotFinished, DefinitionError):  # another client; a limit
            await self._line.insist(
                lambda api: api.batches.retry_failed(TENANT, batch.id, idempotency_key=key)
            )
            return batch.counts.completed < batch.counts.total
        return False

    async def _cancel(self, batch_id: str) -> None:
        await self._line.pause(0, 0.5, 3, 15)
        with contextlib.suppress(BatchEnded, NoAnswer):
            await self._line.request(lambda api: api.batches.cancel(TENANT, batch_id))
            self._ledger.cancelled.add(batch_id)

    async def _pause(self, batch_id: str) -> None:
        await self._line.pause(0, 0.5, 5)
        with contextlib.suppress(BatchEnded):
            await self._line.insist(lambda api: api.batches.pause(TENANT, batch_id))
            await self._line.pause(0, 1, 10)
            await self._line.insist(lambda api: api.batches.resume(TENANT, batch_id))
