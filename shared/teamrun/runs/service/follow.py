"""Following a run: waiting for a change, and its events, in pages or as they become durable.

All clients of a process that follow the same run share one subscription and one reader of its log.
It reads when a notice arrives, and now and then if none does.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import NamedTuple

from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryError
from teamrun.json_types import JsonObject
from teamrun.live.base import Live
from teamrun.runs.log.announcer import GROWN, rest_topic, run_topic
from teamrun.runs.log.archive import events_of
from teamrun.runs.log.reader import RunReader, run_ref
from teamrun.runs.log.state import INDEXED
from teamrun.runs.log.status import AT_REST, TERMINAL
from teamrun.runs.service.broadcast import Broadcast, Listener
from teamrun.runs.service.news import DELTA, News, news_in, text_news
from teamrun.runs.service.public import read_run
from teamrun.runs.service.resources import Delta, Event, EventPage, Run

__all__ = ["RunFollower", "Start"]

_POLL = 1.0
"""Seconds between reads of a log while no notices arrive."""

_SELDOM = 5.0
"""The same for clients that wait for a change, if notices of other processes can arrive."""

_BUFFER_BYTES = 1024 * 1024
"""Size of the news that wait for a slow client; beyond it, the client reads the log itself."""


class Start(NamedTuple):
    """The place in a run from which a client follows it; nothing is open yet."""

    ref: RunRef
    after: int
    """The client has the events up to this one."""
    first: list[News]
    """The first news; more may be in the log already."""
    n: int
    """The number of the entry after them."""
    entries: int
    """The number of entries in the log."""
    has_ended: bool
    """Whether the last entry is in the log."""


class RunFollower:
    """Reads what runs become, for any number of clients."""

    def __init__(self, *, live: Live, reader: RunReader, clock: Clock) -> None:
        self._live = live
        self._reader = reader
        self._clock = clock
        self._news = Broadcast[RunRef, News](limit=_BUFFER_BYTES, size=lambda news: news.size)
        self._runs = Broadcast[str, Run](limit=0, size=lambda _: 0)  # only the newest waits

    async def wait(
        self, tenant: str, run_id: str, *, timeout: timedelta, revision: int | None
    ) -> Run:
        """See `RunService.wait`."""
        ref = run_ref(tenant, run_id)
        topic = rest_topic(ref) if revision is None else run_topic(ref)
        source = partial(self._changes, ref, topic)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout.total_seconds()):
                async with self._runs.joined(topic, source) as changes:
                    run = await read_run(self._reader, ref)
                    while not _is_awaited(run, revision):
                        for newest in await changes.next():
                            if newest.revision >= run.revision or newest.status == "unreadable":
                                run = newest  # otherwise it was read before this client came
                    return run
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
        start = await self.start(tenant, run_id, after=after)
        async with contextlib.aclosing(self.news(start)) as batches:
            async for batch in batches:
                for piece in (piece for news in batch for piece in news.pieces):
                    if piece.type != DELTA:
                        yield Event.model_validate_json(piece.json)
                    elif deltas:
                        yield Delta.model_validate_json(piece.json)

    async def start(self, tenant: str, run_id: str, *, after: int) -> Start:
        """See `RunService.start`."""
        ref = run_ref(tenant, run_id)
        state = await self._reader.state(ref)
        begin = state.entry_before(after + 1)
        n = min(begin + INDEXED, state.entries)
        first = [news async for page in self._pages(ref, begin, n) for news in page]
        return Start(ref, after, first, n, state.entries, state.end is not None)

    async def news(self, start: Start) -> AsyncGenerator[list[News], None]:
        """See `RunService.news`."""
        async with contextlib.aclosing(self._all_news(start)) as batches:
            async for batch in batches:
                yield [news.after(start.after) for news in batch]

    async def _all_news(self, start: Start) -> AsyncGenerator[list[News], None]:
        async with contextlib.AsyncExitStack() as stack:
            listener = None
            if not start.has_ended:  # joined first, so that a client misses no streamed text
                source = partial(self._growth, start.ref, start.entries)
                joined = self._news.joined(start.ref, source)
                listener = await stack.enter_async_context(joined)
            yield start.first
            async for page in self._pages(start.ref, start.n, start.entries):
                yield page
            if listener is not None:
                live = self._live_news(start.ref, start.entries, listener)
                async for batch in await stack.enter_async_context(contextlib.aclosing(live)):
                    yield batch

    async def _live_news(
        self, ref: RunRef, n: int, listener: Listener[News]
    ) -> AsyncGenerator[list[News], None]:
        """The news from entry `n` on, and the streamed text in between, up to the last entry.

        What the listener has missed, before it joined or because it was too slow, is read from the
        log. The text after a gap is left out: it would precede the entries that were dropped.
        """
        log, is_behind, batch = self._reader.log(ref), True, list[News]()
        while not (batch and batch[-1].status):
            if is_behind:
                batch = news_in(log, await log.documents_on(n, some=True))
                is_behind = bool(batch)
                n += len(batch)
            else:
                heard = await listener.next()
                batch = [] if listener.has_gap else list(_joined(heard, n))
                n += sum(news.n is not None for news in batch)
                is_behind = not heard or listener.has_gap or _is_after(heard, n)
            if batch:
                yield batch

    async def _pages(self, ref: RunRef, n: int, stop: int) -> AsyncGenerator[list[News], None]:
        """The news of entries that are known to exist, some at a time."""
        log = self._reader.log(ref)
        async with contextlib.aclosing(self._reader.pages(ref, n, stop)) as pages:
            async for documents in pages:
                yield news_in(log, documents)

    @contextlib.asynccontextmanager
    async def _growth(self, ref: RunRef, n: int) -> AsyncGenerator[AsyncIterator[News], None]:
        """The source of the news from entry `n` on."""
        async with (
            self._notices(run_topic(ref)) as notices,
            contextlib.aclosing(self._grown(ref, n, notices)) as news,
        ):
            yield news

    async def _grown(
        self, ref: RunRef, n: int, notices: AsyncIterator[bytes]
    ) -> AsyncGenerator[News, None]:
        log = self._reader.log(ref)
        async for notice in notices:
            if notice != GROWN:
                if text := text_news(notice):
                    yield text
                continue
            for news in news_in(log, await log.documents_on(n)):
                n += 1
                yield news
                if news.status:
                    return

    @contextlib.asynccontextmanager
    async def _changes(self, ref: RunRef, topic: str) -> AsyncGenerator[AsyncIterator[Run], None]:
        """The source of a run as it is after each notice of the topic."""
        async with (
            self._notices(topic, seldom=self._live.is_shared) as notices,
            contextlib.aclosing(self._changed(ref, notices)) as runs,
        ):
            yield runs

    async def _changed(
        self, ref: RunRef, notices: AsyncIterator[bytes]
    ) -> AsyncGenerator[Run, None]:
        async for notice in notices:
            if notice == GROWN:
                yield await read_run(self._reader, ref)

    @contextlib.asynccontextmanager
    async def _notices(
        self, topic: str, *, seldom: bool = False
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """The live messages of a topic, and `GROWN` after a time without one."""
        async with contextlib.aclosing(self._heard(topic, seldom=seldom)) as notices:
            await anext(notices)  # the subscription is open, or has failed
            yield notices

    async def _heard(self, topic: str, *, seldom: bool) -> AsyncGenerator[bytes, None]:
        while True:
            with contextlib.suppress(DeliveryError):
                async with self._live.subscribe(topic) as messages:
                    yield GROWN  # messages may have been lost before
                    async with contextlib.aclosing(_or_poll(messages, seldom=seldom)) as notices:
                        async for notice in notices:
                            yield notice
            yield GROWN
            await self._clock.sleep(_POLL)


async def _or_poll(messages: AsyncIterator[bytes], *, seldom: bool) -> AsyncGenerator[bytes, None]:
    """The messages to their end, and `GROWN` after a time without one, in case one is lost."""
    upcoming: asyncio.Task[bytes] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(anext(messages))
            done, _ = await asyncio.wait([upcoming], timeout=_SELDOM if seldom else _POLL)
            if not done:
                yield GROWN
                continue
            finished, upcoming = upcoming, None
            try:
                yield finished.result()
            except StopAsyncIteration:
                return
    finally:
        if upcoming is not None:
            upcoming.cancel()


def _joined(heard: Sequence[News], n: int) -> Iterator[News]:
    """The news that follow entry `n - 1` without a gap, and the streamed text in between."""
    for news in heard:
        if news.n is None:
            yield news
        elif news.n > n:
            return
        elif news.n == n:
            n += 1
            yield news


def _is_after(heard: Sequence[News], n: int) -> bool:
    return any(news.n is not None and news.n >= n for news in heard)


def _is_awaited(run: Run, revision: int | None) -> bool:
    if run.status in TERMINAL:
        return True
    return run.status in AT_REST if revision is None else run.revision != revision


def _events_after(after: int, ref: RunRef, documents: Sequence[JsonObject]) -> Iterator[JsonObject]:
    return (event for event in events_of(ref, documents) if event["seq"] > after)
