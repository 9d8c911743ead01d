"""The registered endpoints of all tenants: stored as versions, and cached for some seconds.

    webhooks/{tenant}                             marker: the tenant has had endpoints
    t/{tenant}/webhooks/{id}/{version}.json       the versions
    t/{tenant}/webhooks/{id}/failing              since when every request has failed
    t/{tenant}/webhooks/{id}/answered/{ms}        when it last accepted a test

A process lists the tenants with endpoints every ten seconds at most, and reads the endpoints of
those alone. A run of another tenant costs no request.
"""

import contextlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import (
    EndpointNotFound,
    PreconditionFailed,
    TooManyEndpoints,
)
from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import LoggedEvent
from teamrun.runs.log.keys import (
    answered_folder,
    failing_key,
    hook_marker,
    webhook_folder,
    with_webhooks,
)
from teamrun.storage.base import ObjectStore
from teamrun.storage.versions import newest, version_key, write_version
from teamrun.webhooks.endpoint import Endpoint
from teamrun.webhooks.stored_endpoints import (
    Failing,
    Known,
    Stored,
    read_endpoint,
    read_endpoints,
)
from teamrun.webhooks.target import DisabledBecause

__all__ = ["MOST_ENDPOINTS", "Endpoints"]

logger = logging.getLogger(__name__)

MOST_ENDPOINTS = 50
"""Maximum number of endpoints of a tenant."""

_FRESH = timedelta(seconds=10)
"""How long what was read is used again; after this time a process knows of changes by others."""


class Endpoints:
    """Reads and changes endpoints."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._tenants: frozenset[str] = frozenset()
        self._listed_at: datetime | None = None
        self._known: dict[str, Known] = {}

    def known(self, tenant: str, *, as_of: datetime | None = None) -> Known | None:
        """The endpoints of a tenant as of a few seconds ago; None if they have to be read.

        Args:
            tenant: The tenant.
            as_of: A change that the answer must include.
        """
        now = self._clock.now()
        if self._listed_at is None or now - self._listed_at > _FRESH:
            return None
        if tenant not in self._tenants:
            return None if as_of is not None else Known(self._listed_at)
        known = self._known.get(tenant)
        if known is None or now - known.read_at > _FRESH:
            return None
        is_old = as_of is not None and (known.changed_at is None or known.changed_at < as_of)
        return None if is_old else known

    async def read(self, tenant: str, *, as_of: datetime | None = None) -> Known:
        """The endpoints of a tenant, from the store unless they are known.

        Raises:
            Unavailable: Storage does not respond.
        """
        if (known := self.known(tenant, as_of=as_of)) is not None:
            return known
        return await self.reread(tenant)

    async def reread(
        self, tenant: str, *, after: datetime | None = None, as_of: datetime | None = None
    ) -> Known:
        """The endpoints of a tenant, from the store unless they were read after a time.

        Args:
            tenant: The tenant.
            after: The time; None to read in any case.
            as_of: A change that the answer must include. The time alone cannot tell if the clock of
                the process that made the change is slow.

        Raises:
            Unavailable: Storage does not respond.
        """
        known = self.known(tenant, as_of=as_of)
        if after is not None and known is not None and known.read_at > after:
            return known
        now = self._clock.now()
        tenants = await self._list_tenants()
        known = Known(now) if tenant not in tenants else await self.reload(tenant)
        # Not before: until then, what is known about the tenant may be older.
        if self._listed_at is None or self._listed_at <= now:
            self._tenants, self._listed_at = tenants, now
        return known

    async def changed_at(self, tenant: str) -> datetime | None:
        """The newest change of a tenant's endpoints, as of a few seconds ago; None without any.

        Raises:
            Unavailable: Storage does not respond.
        """
        return (await self.read(tenant)).changed_at

    async def reload(self, tenant: str) -> Known:
        """The endpoints of a tenant as they are stored now.

        Raises:
            Unavailable: Storage does not respond.
        """
        known = await read_endpoints(self._store, tenant, now=self._clock.now())
        before = self._known.get(tenant)
        if before is None or before.read_at <= known.read_at:  # another call may have been faster
            self._known[tenant] = known
        return known

    async def was_deleted(self, tenant: str, endpoint_id: str) -> bool:
        """Whether there was such an endpoint, and it has been deleted.

        Raises:
            StorageError: Storage does not respond.
        """
        found = await newest(self._store, webhook_folder(tenant, endpoint_id))
        return found is not None and Endpoint.model_validate_json(found.data).is_deleted

    async def get(self, tenant: str, endpoint_id: str, *, version: int | None = None) -> Stored:
        """An endpoint as it is stored now.

        Raises:
            EndpointNotFound: The tenant has no such endpoint.
            PreconditionFailed: The endpoint has another version than `version`.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        stored = await read_endpoint(self._store, tenant, endpoint_id)
        if version is not None and version != stored.version:
            raise PreconditionFailed(
                f"The webhook {endpoint_id!r} has changed since; read it again."
            )
        return stored

    async def create(self, tenant: str, endpoint: Endpoint) -> Stored:
        """Store a new endpoint.

        Raises:
            TooManyEndpoints: The tenant has `MOST_ENDPOINTS` already.
            Unavailable: Storage does not respond.
        """
        if len((await self.reload(tenant)).endpoints) >= MOST_ENDPOINTS:
            raise TooManyEndpoints(
                f"A tenant has at most {MOST_ENDPOINTS} webhooks; delete one that is not used."
            )
        await self._store.put_new(with_webhooks(tenant), b"")
        return await self._write(tenant, 1, endpoint)

    async def change(
        self,
        tenant: str,
        endpoint_id: str,
        change: Callable[[Endpoint, datetime], JsonObject | None],
        *,
        version: int | None = None,
    ) -> Stored:
        """Write the next version of an endpoint.

        Args:
            tenant: The tenant.
            endpoint_id: The endpoint.
            change: Returns the fields that change, or None to change nothing; it is called again if
                another writer was first.
            version: The version that the client has seen; None to change any.

        Raises:
            EndpointNotFound: The tenant has no such endpoint.
            PreconditionFailed: The endpoint has another version than `version`.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        while True:
            before = await self.get(tenant, endpoint_id, version=version)
            now = max(self._clock.now(), before.endpoint.updated_at)
            if (fields := change(before.endpoint, now)) is None:
                return before
            after = before.endpoint.model_copy(update={"updated_at": now, "event": None, **fields})
            if after.event is not None:  # its delivery must not be lost in a crash
                job = hook_marker(RunRef(tenant, endpoint_id), before.version + 1, now)
                await self._store.put_new(job, b"")
            if after.disabled_because is None and before.failing_since is not None:
                await self._store.delete(failing_key(tenant, endpoint_id))
            try:
                return await self._write(tenant, before.version + 1, after)
            except PreconditionFailed:
                continue

    async def disable(self, tenant: str, endpoint_id: str, *, because: DisabledBecause) -> None:
        """Send an endpoint nothing more; other webhooks are told by `webhook.disabled`.

        Raises:
            StorageError: Storage does not respond, or the endpoint is damaged.
        """

        def change(endpoint: Endpoint, now: datetime) -> JsonObject | None:
            if endpoint.disabled_because is not None:
                return None
            data = {"webhook_id": endpoint.id, "url": endpoint.url, "because": because}
            event = LoggedEvent("webhook.disabled", None, data)
            return {"disabled_because": because, "disabled_at": now, "event": event}

        with contextlib.suppress(EndpointNotFound):  # deleted in the meantime
            await self.change(tenant, endpoint_id, change)
            logger.warning(
                "A webhook was disabled",
                extra={
                    "action": "webhook.disabled",
                    "tenant": tenant,
                    "webhook_id": endpoint_id,
                    "because": because,
                },
            )

    async def remove(self, tenant: str, endpoint_id: str, *, version: int | None = None) -> None:
        """Delete an endpoint with its secrets; its deliveries end.

        Raises:
            EndpointNotFound: The tenant has no such endpoint.
            PreconditionFailed: The endpoint has another version than `version`.
            StorageError: Storage does not respond, or the endpoint is damaged.
        """
        gone = await self.change(
            tenant,
            endpoint_id,
            _deleted,
            version=version,
        )
        folder = webhook_folder(tenant, endpoint_id)
        old = [version_key(folder, number) for number in range(1, gone.version)]
        answered = await self._store.list(answered_folder(tenant, endpoint_id))
        await self._store.delete_many([*old, *answered, failing_key(tenant, endpoint_id)])

    async def failed(self, tenant: str, endpoint_id: str) -> datetime:
        """Record that a request failed; returns since when every request has.

        Raises:
            Unavailable: Storage does not respond.
        """
        since = self._since(tenant, endpoint_id)
        if since is None:
            since = self._clock.now()
            data = Failing(since=since).model_dump_json().encode()
            if not await self._store.put_new(failing_key(tenant, endpoint_id), data):
                since = (await self.get(tenant, endpoint_id)).failing_since or since
            self._remember(tenant, endpoint_id, since)
        return since

    async def answered(self, tenant: str, endpoint_id: str) -> None:
        """Record that a test was accepted: other processes stop to leave its host alone.

        Raises:
            StorageError: Storage does not respond.
        """
        folder = answered_folder(tenant, endpoint_id)
        newest = f"{folder}{int(self._clock.now().timestamp() * 1_000):013d}"
        before = [key for key in await self._store.list(folder) if key < newest]
        await self._store.put_new(newest, b"")
        await self._store.delete_many([*before, failing_key(tenant, endpoint_id)])
        self._remember(tenant, endpoint_id, None)
        self._listed_at = None  # this process uses it at once

    async def succeeded(self, tenant: str, endpoint_id: str) -> None:
        """Record that a request was accepted; costs nothing if none had failed.

        Raises:
            Unavailable: Storage does not respond.
        """
        if self._since(tenant, endpoint_id) is not None:
            await self._store.delete(failing_key(tenant, endpoint_id))
            self._remember(tenant, endpoint_id, None)

    def _since(self, tenant: str, endpoint_id: str) -> datetime | None:
        known = self._known.get(tenant)
        for one in known.endpoints if known else ():
            if one.endpoint.id == endpoint_id:
                return one.failing_since
        return None

    def _remember(self, tenant: str, endpoint_id: str, since: datetime | None) -> None:
        if (known := self._known.get(tenant)) is not None:
            known.endpoints = [
                one._replace(failing_since=since) if one.endpoint.id == endpoint_id else one
                for one in known.endpoints
            ]

    async def _write(self, tenant: str, number: int, endpoint: Endpoint) -> Stored:
        folder = webhook_folder(tenant, endpoint.id)
        data = endpoint.model_dump_json().encode()
        if not await write_version(self._store, folder, number, data):
            raise PreconditionFailed(f"The webhook {endpoint.id!r} has changed since.")
        self._listed_at = None  # this process uses the change at once
        return Stored(number, endpoint)

    async def _list_tenants(self) -> frozenset[str]:
        folder, found = with_webhooks(""), list[str]()
        while page := await self._store.list(folder, after=found[-1] if found else ""):
            found += page
            if len(page) < 1_000:
                break
        return frozenset(key.removeprefix(folder) for key in found)


def _deleted(_: Endpoint, __: datetime) -> JsonObject:
    return {"is_deleted": True, "secret": None, "url": ""}
