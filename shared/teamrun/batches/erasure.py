"""Deletes batches that have ended, with the runs of their items.

A plan is written first, then entry 0 of the batch's log is replaced: with this single write the
batch disappears. The runs are removed an hour later, when no worker that was frozen before their
end can still write to them. An interruption at any moment is made up for by the next sweep.
"""

import contextlib
import logging
from datetime import datetime, timedelta

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from teamrun.batches.chunks import StoredItems
from teamrun.batches.entries import DELETED, BatchEntry, End
from teamrun.batches.keys import (
    GONE_BATCHES,
    BatchRef,
    batch_folder,
    batch_list_folder,
    batch_list_key,
    entry_key,
    gone_batch_marker,
    hour_of_gone_batches,
    item_run_id,
    place_in_list,
    snapshot_key,
)
from teamrun.batches.log import BatchLog
from teamrun.batches.spec import BatchSpec
from teamrun.batches.state import Round
from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import BatchNotFinished, NotFound, StorageError, UnreadableEntry
from teamrun.runs.log.keys import list_place, run_folder
from teamrun.runs.log.log import PreErase
from teamrun.storage.base import ObjectStore

__all__ = ["BatchErasure"]

logger = logging.getLogger(__name__)

_FENCE = timedelta(hours=1)

_PAGE = 1_000


class _Plan(BaseModel):
    spec: BatchSpec
    rounds: list[Round]


class BatchErasure:
    """Deletes batches, and finishes deletions.

    Args:
        store: The store.
        clock: The clock.
        pre_erase: Called before a batch disappears, and before each of its runs is removed.
    """

    def __init__(
        self, *, store: ObjectStore, clock: Clock, pre_erase: PreErase | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._pre_erase = pre_erase

    async def delete(self, ref: BatchRef) -> None:
        """Delete a batch that has ended; its runs are removed by a later sweep.

        Raises:
            BatchNotFound: There is no such batch.
            BatchNotFinished: It has not ended.
        """
        log = BatchLog(self._store, ref, writer="api", clock=self._clock)
        state = await log.existing()
        if state.end is None:
            raise BatchNotFinished(
                f"Batch {ref.batch_id!r} is {state.status}; cancel it or wait for its end, then "
                "delete it.",
                batch_id=ref.batch_id,
            )
        now = self._clock.now()
        plan = _Plan(spec=state.spec, rounds=state.rounds)
        marker = gone_batch_marker(ref, now + _FENCE)
        await self._store.put_new(marker, plan.model_dump_json().encode())
        if self._pre_erase is not None:
            await self._pre_erase(RunRef(*ref))
        await self._store.put(entry_key(ref, 0), _tombstone(now))
        await self._store.put(snapshot_key(ref), b"")
        await self._store.delete(batch_list_key(ref))

    async def sweep(self, retention: timedelta | None) -> None:
        """Delete batches that ended longer ago than `retention`; finish deletions.

        Raises:
            StorageError: Storage cannot be read.
        """
        if retention is not None:
            await self._delete_old(retention)
        last = hour_of_gone_batches(self._clock.now())
        for key in await self._store.list(GONE_BATCHES, limit=_PAGE):
            if key >= last:
                return
            with contextlib.suppress(ValueError):
                await self._purge(key, BatchRef.parse(key.rpartition("/")[2]))

    async def _delete_old(self, retention: timedelta) -> None:
        tenant = await self._tenant_after("")
        while tenant:
            folder, cutoff = batch_list_folder(tenant), self._clock.now() - retention
            after = f"{folder}{list_place(cutoff):013d}"
            for key in await self._store.list(folder, after=after, limit=_PAGE):
                await self._delete_if_old(BatchRef(tenant, place_in_list(key)), key, cutoff)
            tenant = await self._tenant_after(tenant)

    async def _delete_if_old(self, ref: BatchRef, key: str, cutoff: datetime) -> None:
        log = BatchLog(self._store, ref, writer="sweep", clock=self._clock)
        try:
            state = await log.state()
            if state is None:  # it was never accepted
                await self._store.delete(key)
            elif state.finished_at is not None and state.finished_at <= cutoff:
                await self.delete(ref)
        except (UnreadableEntry, StorageError) as error:
            logger.warning(
                "An expired batch could not be deleted",
                extra={
                    "action": "batch.delete_failed",
                    "tenant": ref.tenant,
                    "batch_id": ref.batch_id,
                    "error": error.message,
                },
            )

    async def _tenant_after(self, tenant: str) -> str:
        after = f"t/{tenant}0" if tenant else ""  # `0` follows `/`
        keys = await self._store.list("t/", after=after, limit=1)
        return keys[0].split("/")[1] if keys else ""

    async def _purge(self, marker: str, ref: BatchRef) -> None:
        """Remove the runs, then the batch, then the plan."""
        with contextlib.suppress(NotFound, ValidationError):
            plan = _Plan.model_validate_json(await self._store.get(marker))
            items = StoredItems(self._store, ref, plan.spec)
            for current in plan.rounds:
                with contextlib.suppress(NotFound):  # the list went with an earlier attempt
                    await self._purge_round(ref, current, await items.indices(current))
            if plan.spec.idempotency is not None:
                await self._store.delete(plan.spec.idempotency)
        await self._remove(batch_folder(ref))
        await self._store.delete(marker)

    async def _purge_round(
        self, ref: BatchRef, current: Round, indices: "range | list[int]"
    ) -> None:
        for index in indices[: current.fed]:
            run = RunRef(ref.tenant, item_run_id(ref, current.number, index))
            if self._pre_erase is not None:
                await self._pre_erase(run)
            await self._remove(run_folder(run))

    async def _remove(self, folder: str) -> None:
        while keys := await self._store.list(folder, limit=_PAGE):
            await self._store.delete_many(keys)


def _tombstone(at: datetime) -> bytes:
    body = End(status="cancelled", stop_code=DELETED, void=True)
    return to_json(BatchEntry(n=0, writer="deleted", nonce="", at=at, seq=1, body=body))
