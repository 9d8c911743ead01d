"""Puts deliveries into the lists of registered endpoints."""

import asyncio

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.storage.base import ObjectStore
from teamrun.webhooks.endpoints import Endpoints
from teamrun.webhooks.index import index_key
from teamrun.webhooks.sources import Logged

__all__ = ["Listing"]


class Listing:
    """Lists deliveries as soon as an entry is durable, before anything is sent.

    A delivery that waits for its first request is therefore visible. A crash in between loses
    nothing: the process that takes the job lists what is not listed.
    """

    def __init__(self, store: ObjectStore, endpoints: Endpoints, clock: Clock) -> None:
        self._store = store
        self._endpoints = endpoints
        self._clock = clock

    async def add(self, ref: RunRef, found: Logged) -> frozenset[str]:
        """List the events of an entry with each endpoint that is sent them; returns the markers.

        Raises:
            Unavailable: Storage does not respond.
        """
        known, now = await self._endpoints.read(ref.tenant), self._clock.now()
        targets = [one.target(ref.tenant, now) for one in known.endpoints]
        keys = {
            index_key(ref, target.id, at=found.at, seq=event["seq"])
            for target in targets
            for event in found.events
            if target.wants(event["type"], found.at, found.as_of)
        }
        await asyncio.gather(*(self._store.put_new(key, b"") for key in keys))
        return frozenset(keys)
