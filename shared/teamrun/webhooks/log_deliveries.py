"""The deliveries of runs, or of batches: to the webhook that each names, and to registered ones."""

from collections.abc import Sequence

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef, is_run_id
from teamrun.errors import DeliveryNotFound, UsageError
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.delivery_log import DeliveryLog, event_of
from teamrun.webhooks.endpoints import Endpoints
from teamrun.webhooks.log_page import LogPage
from teamrun.webhooks.resources import Deliveries, DeliveryResource
from teamrun.webhooks.sources import Logged, Source
from teamrun.webhooks.target import OWN

__all__ = ["LogDeliveries"]


class LogDeliveries:
    """The deliveries of runs, or of batches.

    Args:
        store: The store.
        source: Reads the logs.
        endpoints: The registered webhooks.
        redeliveries: Starts deliveries again.
        clock: The clock.
        kind: What the logs are called.
        prefix: What their ids begin with.
        path: Where they are listed.
        not_found: The error if there is no such log.
    """

    def __init__(
        self,
        store: ObjectStore,
        source: Source,
        *,
        endpoints: Endpoints,
        redeliveries: DeliveryLog,
        clock: Clock,
        kind: str,
        prefix: str,
        path: str,
        not_found: type[UsageError],
    ) -> None:
        self._store = store
        self._source = source
        self._endpoints = endpoints
        self._redeliveries = redeliveries
        self._clock = clock
        self._kind = kind
        self._prefix = prefix
        self._path = path
        self._not_found = not_found

    async def page(self, ref: RunRef, *, limit: int, after: str | None) -> Deliveries:
        """The deliveries of a log, in the order of its events.

        Raises:
            UsageError: There is no such log, or the cursor is invalid.
            StorageError: Storage does not respond, or the log is unreadable.
        """
        page = LogPage(
            self._store,
            self._endpoints,
            self._clock,
            ref=ref,
            folder=self._source.folder(ref),
            history=await self._history(ref),
        )
        return await page.read(limit=limit, after=after)

    async def redeliver(self, ref: RunRef, event_id: str) -> DeliveryResource:
        """Send an event to the webhook that the request of its log named, again.

        Raises:
            DeliveryNotFound: The log has no such event, or its request named no webhook.
            UsageError: There is no such log.
            StorageError: Storage does not respond, or the log is unreadable.
        """
        await self._history(ref)
        event_ref, seq = event_of(ref.tenant, event_id)
        if event_ref != ref:
            raise DeliveryNotFound(f"{event_id[:80]!r} is not an event of this {self._kind}.")
        return await self._redeliveries.redeliver(ref, seq, OWN)

    async def _history(self, ref: RunRef) -> Sequence[Logged]:
        is_one = is_run_id(ref.run_id) and ref.run_id.startswith(self._prefix)
        history = await self._source.history(ref) if is_one else None
        if history is None:
            raise self._not_found(
                f"There is no {self._kind} {ref.run_id[:80]!r}; GET {self._path} lists yours."
            )
        return history
