"""Following a run: waiting for a change, and its events, in pages or as they become durable.

Followers read the log again when a notice arrives, and once a second if none does.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from datetime import timedelta

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryError
from teamrun.json_types import JsonObject
from teamrun.live.base import PubSub
from teamrun.runs.log.announcer import GROWN, run_topic
from teamrun.runs.log.archive import events_of
from teamrun.runs.log.reader import RunReader, run_ref
from teamrun.runs.log.status import TERMINAL
from teamrun.runs.service.resources import Delta, Event, EventPage, Run, read_run

__all__ = ["RunFollower"]

_POLL = 1.0
"""Seconds between reads of a log while a follower receives no notices."""


_AT_REST = frozenset({"input_required", "paused", "unreadable"})


class RunFollower:
    """Reads what runs become, for any number of clients."""

    def __init__(self, *, live: PubSub, reader: RunReader, clock: Clock) -> None:
        self._live = live
        self._reader = reader
        self._clock = clock

    async def wait(
        self, tenant: str, run_id: str, *, timeout: timedelta, revision: int | None
    ) -> Run:
        """See `RunService.wait`."""
        ref = run_ref(tenant, run_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout.total_seconds()), self._listening(ref) as notices:
                while True:
                    run = await read_run(self._reader, ref)
                    changed = revision is not None and run.revision != revision
                    resting = revision is None and run.status in _AT_REST
                    if changed or resting or run.status in TERMINAL:
                        return run
                    await anext(notices)
        return await read_run(self._reader, ref)

    async def events(
        self, tenant: str, run_id: str, *, after: int, limit: int, types: frozenset[str] | None
    ) -> EventPage:
        """See `RunService.events`."""
        ref = run_ref(tenant, run_id)
        found: list[JsonObject] = []
        batches = self._reader.documents(ref, after=after)
        async with contextlib.aclosing(batches):
            async for documents in batches:
                events = _events_after(after, ref, documents)
                found += [e for e in events if types is None or e["type"] in types]
                if len(found) > limit:
                    break
        page, more = [Event(**event) for event in found[:limit]], len(found) > limit
        return EventPage(data=page, next_cursor=page[-1].id if more else None, has_more=more)

    async def follow(
        self, tenant: str, run_id: str, *, after: int, deltas: bool
    ) -> AsyncGenerator[Event | Delta, None]:
        """See `RunService.follow`."""
        ref = run_ref(tenant, run_id)
        async with (
            self._listening(ref) as notices,
            contextlib.aclosing(self._growth(ref, after, notices)) as news,
        ):
            async for item in news:
                if isinstance(item, list):
                    for event in _events_after(after, ref, item):
                        yield Event(**event)
                elif deltas:
                    yield Delta.model_validate_json(item)

    async def _growth(
        self, ref: RunRef, after: int, notices: AsyncIterator[bytes]
    ) -> AsyncGenerator[list[JsonObject] | bytes, None]:
        """The entries with the events after `after`, up to the last, and the deltas in between."""
        log, newest = self._reader.log(ref), JsonObject()
        async with contextlib.aclosing(self._reader.documents(ref, after=after)) as batches:
            async for documents in batches:
                newest = documents[-1]
                yield documents
        while newest["kind"] != "end":
            while (message := await anext(notices)) != GROWN:
                yield message
            if documents := await log.documents_on(newest["n"] + 1):
                newest = documents[-1]
                yield documents

    @contextlib.asynccontextmanager
    async def _listening(self, ref: RunRef) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """The live messages of a run, and `GROWN` after each second without one."""
        async with contextlib.AsyncExitStack() as stack:
            messages: AsyncIterator[bytes] | None = None
            with contextlib.suppress(DeliveryError):
                messages = await stack.enter_async_context(self._live.subscribe(run_topic(ref)))
            hearing = _or_poll(messages, self._clock)
            stack.push_async_callback(hearing.aclose)
            yield hearing


async def _or_poll(
    messages: AsyncIterator[bytes] | None, clock: Clock
) -> AsyncGenerator[bytes, None]:
    """The messages, and `GROWN` after each second without one, in case a message was lost."""
    upcoming: asyncio.Task[bytes] | None = None
    try:
        while True:
            if messages is None:
                await clock.sleep(_POLL)
                yield GROWN
                continue
            upcoming = upcoming or asyncio.ensure_future(anext(messages))
            done, _ = await asyncio.wait([upcoming], timeout=_POLL)
            if not done:
                yield GROWN
                continue
            finished, upcoming = upcoming, None
            try:
                yield finished.result()
            except (StopAsyncIteration, DeliveryError):
                messages = None
    finally:
        if upcoming is not None:
            upcoming.cancel()


def _events_after(after: int, ref: RunRef, documents: Sequence[JsonObject]) -> Iterator[JsonObject]:
    return (event for event in events_of(ref, documents) if event["seq"] > after)
