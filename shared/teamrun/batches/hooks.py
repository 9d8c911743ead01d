"""The events of batches for webhooks: what is stored before an entry, and reading them back.

Every process has a `BatchSource`, and few read one, so the log of batches is imported at first use.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from pydantic_core import from_json, to_json

from teamrun.batches.keys import BatchRef, batch_folder, entry_key
from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.runs.log.log import Prepare
from teamrun.runs.log.webhook import EVENT_TYPES
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.jobs import Job
from teamrun.webhooks.outbox import Outbox
from teamrun.webhooks.sources import GONE, Gone, Logged
from teamrun.webhooks.targets import Wish

if TYPE_CHECKING:
    from teamrun.batches.entries import BatchEntry
    from teamrun.batches.log import BatchLog
    from teamrun.batches.spec import BatchSpec

__all__ = ["BatchSource", "pre_commit"]


def pre_commit(
    outbox: Outbox, ref: BatchRef, entry: "BatchEntry", spec: "BatchSpec"
) -> Prepare | None:
    """What has to be stored before an entry of a batch; None if no receiver wants its events."""
    types = [event.type for event in entry.events if event.type in EVENT_TYPES]
    if not types:
        return None
    wish = Wish(types, spec.webhook, spec.webhooks_at)
    found = partial(_logged, ref, entry, spec)
    return outbox.prepare(Job(RunRef(*ref), entry.n), at=entry.at, wish=wish, found=found)


class BatchSource:
    """Implements the `Source` of webhooks for the logs of batches."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def folder(self, ref: RunRef) -> str:
        """Beside the log; it is deleted with the batch."""
        return _folder(BatchRef(*ref))

    async def read(self, job: Job) -> Logged | Gone | None:
        """The events of an entry, and the webhook of the batch.

        Raises:
            UnreadableEntry: The log is damaged, or was written by a newer release.
            Unavailable: Storage does not respond.
        """
        from teamrun.batches.entries import Accepted, End

        ref = BatchRef(*job.ref)
        numbers = [0] if job.n == 0 else [0, job.n]
        if None in await self._store.get_many([entry_key(ref, n) for n in numbers]):
            return None
        entries = await self._log(ref).entries(numbers)
        accepted = entries[0].body
        if isinstance(accepted, End):
            return GONE
        assert isinstance(accepted, Accepted), "a log starts with `accepted`"
        return _logged(ref, entries[-1], accepted.spec)

    async def history(self, ref: RunRef) -> Sequence[Logged] | None:
        """All entries with such events; None if the batch does not exist, or was deleted."""
        batch = BatchRef(*ref)
        state = await self._log(batch).state()
        if state is None:
            return None
        entries = await self._log(batch).entries(state.eventful)
        found = (_logged(batch, entry, state.spec) for entry in entries)
        return [each for each in found if each.events]

    def _log(self, ref: BatchRef) -> "BatchLog":
        from teamrun.batches.log import BatchLog

        return BatchLog(self._store, ref, writer="webhooks", clock=self._clock)


def _folder(ref: BatchRef) -> str:
    return f"{batch_folder(ref)}hook/"


def _logged(ref: BatchRef, entry: "BatchEntry", spec: "BatchSpec") -> Logged:
    at = from_json(to_json(entry.at))
    return Logged(
        n=entry.n,
        at=entry.at,
        folder=_folder(ref),
        webhook=spec.webhook,
        as_of=spec.webhooks_at,
        events=[
            {
                "id": f"{ref.batch_id}-{seq}",
                "seq": seq,
                "type": event.type,
                "time": at,
                "batch_id": ref.batch_id,
                "data": from_json(to_json(event.data)),
            }
            for seq, event in enumerate(entry.events, entry.seq)
            if event.type in EVENT_TYPES
        ],
    )
