"""Makes jobs of the entries that a process writes."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.dispatch.queues import Queue
from teamrun.errors import DeliveryError, StorageError
from teamrun.runs.log.entries import Entry
from teamrun.runs.log.log import Prepare
from teamrun.runs.log.state import RunState
from teamrun.runs.log.webhook import EVENT_TYPES
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.jobs import Job
from teamrun.webhooks.listing import Listing
from teamrun.webhooks.sources import Logged, logged
from teamrun.webhooks.targets import Targets, Wish

__all__ = ["HOLD", "Hints", "Outbox", "Start"]

logger = logging.getLogger(__name__)

HOLD = timedelta(seconds=60)
"""How long the process that begins a job has it for itself; then a sweep of any may take it."""


class Start(Protocol):
    """Starts a job whose entry has just become durable."""

    def __call__(self, job: Job, found: Logged) -> None:
        """Return at once."""
        ...


class Outbox:
    """Puts a marker before each entry with an event that is to be delivered.

    Args:
        store: Where the markers are.
        targets: Decides who receives an event.
        start: Called when the entry is durable.
        hold: See `HOLD`.
    """

    def __init__(
        self, store: ObjectStore, targets: Targets, *, start: Start, hold: timedelta = HOLD
    ) -> None:
        self._store = store
        self._targets = targets
        self._start = start
        self._hold = hold

    def pre_commit(self, ref: RunRef, entry: Entry, state: RunState | None) -> Prepare | None:
        """The function that puts the marker of an entry; None if no receiver wants its events.

        Once the entry is durable, the job starts.
        """
        types = [event.type for event in entry.events if event.type in EVENT_TYPES]
        if not types or state is None:
            return None
        wish = Wish(types, state.spec.webhook, state.spec.webhooks_at)
        found = partial(logged, ref, entry, state.spec)
        return self.prepare(Job(ref, entry.n), at=entry.at, wish=wish, found=found)

    def prepare(
        self, job: Job, *, at: datetime, wish: Wish, found: Callable[[], Logged]
    ) -> Prepare | None:
        """The same for an entry of another log.

        Args:
            job: The entry.
            at: Its time.
            wish: The types of its events, and the webhook that the request of the log named.
            found: Returns the events.
        """
        if self._targets.is_wanted(job.ref.tenant, wish) is False:
            return None
        return partial(self._put_marker, job, at, wish, found)

    async def _put_marker(
        self, job: Job, at: datetime, wish: Wish, found: Callable[[], Logged]
    ) -> Callable[[], None] | None:
        is_wanted = self._targets.is_wanted(job.ref.tenant, wish)
        if is_wanted is None:
            is_wanted = await self._targets.read(job.ref.tenant, wish)
        if not is_wanted:
            return None
        await self._store.put_new(job.marker(at + self._hold), b"")
        return partial(self._start, job, found())


class Hints:
    """Sends jobs to the workers, for processes that deliver nothing themselves.

    A message that is lost is made up for by a sweep.
    """

    def __init__(self, dispatcher: Dispatcher, listing: Listing) -> None:
        self._dispatcher = dispatcher
        self._listing = listing
        self._sending: set[asyncio.Task[None]] = set()

    def start(self, job: Job, found: Logged) -> None:
        """Send a message in the background, and list the deliveries that it is about."""
        task = asyncio.get_running_loop().create_task(self._send(job, found))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def flushed(self) -> None:
        """Return when all messages have been sent, or were refused."""
        if self._sending:
            await asyncio.wait(self._sending)

    async def _send(self, job: Job, found: Logged) -> None:
        await asyncio.gather(self._hint(job), self._list(job, found))

    async def _list(self, job: Job, found: Logged) -> None:
        with contextlib.suppress(StorageError):  # the process that delivers lists them, too
            await self._listing.add(job.ref, found)

    async def _hint(self, job: Job) -> None:
        try:
            await self._dispatcher.send([job.as_ref()], queue=Queue.HOOKS)
        except DeliveryError as error:
            logger.info(
                "A delivery could not be sent to the queue; a sweep will find it",
                extra={
                    "action": "webhook.send_failed",
                    **job.log_fields(),
                    "error": str(error),
                },
            )
