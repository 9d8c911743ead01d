"""Following a run: waiting for a change, and its events, in pages or as they become durable.

All clients of a process that follow the same run share one subscription and one reader of its log.
It reads when a notice arrives, and now and then if none does.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import timedelta
from functools import cached_property, partial
from typing import NamedTuple

from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryError
from teamrun.json_types import JsonObject
from teamrun.runs.log.announcer import GROWN, rest_topic, run_topic
from teamrun.runs.log.archive import events_of
from teamrun.runs.log.reader import run_ref
from teamrun.runs.log.state import INDEXED
from teamrun.runs.log.status import AT_REST, TERMINAL
from teamrun.runs.service.broadcast import Broadcast, Listener
from teamrun.runs.service.news import DELTA, News, news_in, text_news
from teamrun.runs.service.operations import Operations
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


class RunFollower(Operations):
    """Reads what runs become, for any number of clients."""

    @cached_property
    def _news(self) -> Broadcast[RunRef, News]:
        return Broadcast(limit=_BUFFER_BYTES, size=lambda news: news.size)

    @cached_property
    def _runs(self) -> Broadcast[str, Run]:
        return Broadcast(limit=0, size=lambda _: 0)  # only the newest waits

    async def wait(
        self, tenant: str, run_id: str, *, timeout: timedelta, revision: int | None = None
    ) -> Run:
        """Wait until the run's revision differs from `revision`, or until the run is at rest.

        A run is at rest if it has ended, waits for input or is paused. Without `revision`, this
        waits for that. At `timeout`, the run is returned as it is then.
        """
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
        self,
        tenant: str,
        run_id: str,
        *,
        after: int = 0,
        limit: int = 100,
        types: frozenset[str] | None = None,
    ) -> EventPage:
        """Logged events with a `seq` greater than `after`."""
        ref = run_ref(tenant, run_id)
        state, found = await self._reader.state(ref), list[JsonObject]()
        begin = state.entry_before(after + 1)
        async with contextlib.aclosing(self._reader.pages(ref, begin, state.entries)) as pages:
            async for documents in pages:
                events = (event for event in events_of(ref, documents) if event["seq"] > after)
                found += [event for event in events if types is None or event["type"] in types]
                if len(found) > limit:
                    break
        page, more = [Event(**event) for event in found[:limit]], len(found) > limit
        return EventPage(data=page, next_cursor=page[-1].id if more else None, has_more=more)

    async def follow(
        self, tenant: str, run_id: str, *, after: int = 0, deltas: bool = True
    ) -> AsyncGenerator[Event | Delta, None]:
        """Yield the events after `after` as they become durable, up to the last, and deltas."""
        start = await self.start(tenant, run_id, after=after)
        async with contextlib.aclosing(self.news(start)) as batches:
            async for batch in batches:
                for piece in (piece for news in batch for piece in news.pieces):
                    if piece.type != DELTA:
                        yield Event.model_validate_json(piece.json)
                    elif deltas:
                        yield Delta.model_validate_json(piece.json)

    async def start(self, tenant: str, run_id: str, *, after: int = 0) -> Start:
        """The place from which `news` goes on; no event up to `after` follows.

        Raises:
            UnreadableEntry: The log of the run is unreadable.
        """
        ref = run_ref(tenant, run_id)
        state = await self._reader.state(ref)
        begin = state.entry_before(after + 1)
        n = min(begin + INDEXED, state.entries)
        first = [news async for page in self._pages(ref, begin, n) for news in page]
        return Start(ref, after, first, n, state.entries, state.end is not None)

    async def news(self, start: Start) -> AsyncGenerator[list[News], None]:
        """The same as `follow`, as each entry becomes durable, serialized once for all clients.

        Raises:
            RunNotFound: The run has been deleted.
            UnreadableEntry: The log of the run is unreadable.
        """
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

    async def _growth(self, ref: RunRef, n: int) -> AsyncGenerator[News | None, None]:
        """The source of the news from entry `n` on."""
        log = self._reader.log(ref)
        async with contextlib.aclosing(self._notices(run_topic(ref))) as notices:
            async for notice in notices:
                if notice is None:
                    yield None
                elif notice != GROWN:
                    if text := text_news(notice):
                        yield text
                else:
                    for news in news_in(log, await log.documents_on(n)):
                        n += 1
                        yield news
                        if news.status:
                            return

    async def _changes(self, ref: RunRef, topic: str) -> AsyncGenerator[Run | None, None]:
        """The source of a run as it is after each notice of the topic."""
        pause = _SELDOM if self._live.is_shared else _POLL
        async with contextlib.aclosing(self._notices(topic, pause)) as notices:
            async for notice in notices:
                if notice is None:
                    yield None
                elif notice == GROWN:
                    yield await read_run(self._reader, ref)

    async def _notices(
        self, topic: str, pause: float = _POLL
    ) -> AsyncGenerator[bytes | None, None]:
        """The live messages of a topic, and `GROWN` if one may have been lost.

        The first one is None: the subscription is open, or has failed.
        """
        notice: bytes | None = None
        while True:
            with contextlib.suppress(DeliveryError):
                async with self._live.subscribe(topic) as messages:
                    while True:
                        yield notice
                        notice = GROWN  # after a time without a message, in case one is lost
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(pause):
                                if (heard := await anext(messages, None)) is None:
                                    break
                                notice = heard
            yield notice
            notice = GROWN
            await self._clock.sleep(_POLL)


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
