"""Clients that follow one run share its reader, and none of them misses or repeats an event."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.refs import RunRef
from teamrun.errors import RunNotFound, Unavailable
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.announcer import run_topic
from teamrun.runs.log.entries import End, LoggedEvent, Signal, Step
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.observers import Observers
from teamrun.runs.log.state import RunState
from teamrun.runs.service.broadcast import Listener
from teamrun.runs.service.news import News
from teamrun.runs.service.resources import Delta, Event
from teamrun.storage.base import ObjectStore
from teamrun.storage.memory import MemoryStore
from teamrun.testing.faults import Fault, FaultStore

MINUTE = timedelta(minutes=1)

_POLL = "teamrun.runs.service.follow._POLL"


@pytest.fixture(autouse=True)
def without_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that missed something waits for ever, and not only for a second."""
    monkeypatch.setattr(_POLL, 3600.0)
    monkeypatch.setattr("teamrun.runs.service.follow._SELDOM", 3600.0)


class CountingStore(MemoryStore):
    reads = 0

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        self.reads += 1
        return await super().get_many(keys)


class Writer:
    """Appends entries to a run, as the process of its owner does."""

    def __init__(self, cluster: Cluster, ref: RunRef, state: RunState) -> None:
        self.cluster = cluster
        self.ref = ref
        self._state = state
        self._observers = Observers(cluster.live)
        self._log = RunLog(
            cluster.store,
            ref,
            writer="w",
            clock=cluster.clock,
            observers=self._observers.rows,
        )

    async def step(self, *, text: str = "") -> None:
        """An entry with two events."""
        events = [LoggedEvent("turn.progress", "a", {"text": text}) for _ in range(2)]
        assert await self._log.append(self._state, Step(), events, epoch=0)

    async def end(self) -> None:
        events = [LoggedEvent("run.completed", None, {})]
        assert await self._log.append(self._state, End(status="completed"), events, epoch=0)

    async def pause(self) -> None:
        assert await self._log.append(self._state, Signal(signal="pause"), [], epoch=0)

    def speak(self) -> None:
        """A piece of streamed text."""
        self._observers.notices.delta(self.ref, {"agent": "a", "data": {"text": "word"}})

    async def heard(self) -> None:
        """Return when the notices have been sent, and followers had time to react."""
        await self._observers.notices.flushed()
        await ticks()

    def silence(self) -> None:
        """Send no more notices, as a process whose live state is another one."""
        cluster = self.cluster
        self._log = RunLog(cluster.store, self.ref, writer="w", clock=cluster.clock)

    def events(self) -> int:
        """The number of events so far."""
        return self._state.seq - 1


async def writing(store: ObjectStore | None = None, live: MemoryLive | None = None) -> Writer:
    cluster = Cluster({}, team=solo(), store=store, live=live)
    ref = await cluster.submit()
    state = await cluster.log(ref).state()
    assert state is not None
    return Writer(cluster, ref, state)


async def rest_of(batches: AsyncGenerator[list[News], None]) -> list[int]:
    """The numbers of the events that a stream still has."""
    pieces = [p async for batch in batches for news in batch for p in news.pieces]
    return [piece.seq for piece in pieces if piece.seq is not None]


async def ticks() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def seqs(writer: Writer, *, after: int = 0) -> list[int]:
    """The numbers of the events that a client receives up to the end of the run."""
    follower = writer.cluster.service.follow(TENANT, writer.ref.run_id, after=after)
    return [item.seq async for item in follower if isinstance(item, Event)]


async def reads_for(clients: int) -> list[int]:
    store = CountingStore()
    writer = await writing(store)
    following = [asyncio.ensure_future(seqs(writer)) for _ in range(clients)]
    await ticks()
    reads: list[int] = []
    for _ in range(10):
        before = store.reads
        await writer.step()
        await writer.heard()
        reads.append(store.reads - before)
    await writer.end()
    assert await asyncio.gather(*following) == [[*range(1, writer.events() + 1)]] * clients
    return reads


async def test_an_entry_is_read_once_however_many_clients_follow() -> None:
    assert await reads_for(50) == await reads_for(1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["step", "join", "take", "tick"]), max_size=40), st.integers(0, 20))
def test_a_client_that_joins_at_any_moment_misses_and_repeats_nothing(
    acts: list[str], after: int
) -> None:
    async def scenario() -> None:
        writer = await writing()
        service, run_id = writer.cluster.service, writer.ref.run_id
        starts = [await service.start(TENANT, run_id, after=after)]
        clients: list[asyncio.Task[list[int]]] = []

        for act in acts:
            match act:
                case "step":
                    await writer.step()
                case "join":  # what is appended between its start and its first read counts
                    starts.append(await service.start(TENANT, run_id, after=after))
                case "take":
                    clients += [asyncio.ensure_future(rest_of(service.news(s))) for s in starts]
                    starts.clear()
                case _:
                    await ticks()
        clients += [asyncio.ensure_future(rest_of(service.news(start))) for start in starts]
        await ticks()
        await writer.end()
        expected = [*range(after + 1, writer.events() + 1)]
        assert await asyncio.gather(*clients) == [expected] * len(clients)
        await service.close()

    asyncio.run(scenario())


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60))
def test_what_waits_for_a_slow_client_is_bounded(sizes: list[int]) -> None:
    listener = Listener[int](limit=2000)
    for size in sizes:
        listener.give(size, size)
    waiting = asyncio.run(listener.next())
    assert waiting and waiting == sizes[-len(waiting) :]
    assert sum(waiting) <= 2000


async def test_a_client_that_is_too_slow_reads_the_rest_from_the_log() -> None:
    writer = await writing()
    service, run_id = writer.cluster.service, writer.ref.run_id
    found: list[int | None] = []
    async with aclosing(service.news(await service.start(TENANT, run_id))) as batches:
        await anext(batches)
        upcoming = asyncio.ensure_future(anext(batches))
        await ticks()
        await writer.step()
        await upcoming  # it has what is in the log, and takes nothing from here on
        quick = asyncio.ensure_future(seqs(writer))
        for _ in range(30):  # together they exceed the buffer twice
            await writer.step(text="x" * 50_000)
            await writer.heard()
        writer.speak()
        await writer.heard()
        await writer.end()
        async for batch in batches:
            found += [piece.seq for news in batch for piece in news.pieces]
    assert found == [*range(4, writer.events() + 1)]  # no text before the events that led to it
    assert await quick == [1, 2, 3, *found]


async def test_text_after_entries_that_were_dropped_lets_the_client_read_the_log() -> None:
    writer = await writing()
    service, run_id = writer.cluster.service, writer.ref.run_id
    async with aclosing(service.news(await service.start(TENANT, run_id))) as batches:
        await anext(batches)
        upcoming = asyncio.ensure_future(anext(batches))
        await ticks()
        await writer.step()
        await upcoming  # the client takes nothing from here on
        await writer.step(text="x" * 600_000)  # its two events fill the buffer
        await writer.heard()
        writer.speak()
        await writer.heard()
        async with asyncio.timeout(10):  # no entry follows, and nothing polls
            missed = await anext(batches)
            assert [p.seq for news in missed for p in news.pieces] == [4, 5]
            upcoming = asyncio.ensure_future(anext(batches))
            await ticks()
            writer.speak()
            assert [news.n for news in await upcoming] == [None]


@given(st.lists(st.tuples(st.integers(0, 2500), st.booleans()), max_size=60))
def test_a_slow_reader_is_told_exactly_when_items_were_dropped(
    items: list[tuple[int, bool]],
) -> None:
    async def scenario() -> None:
        listener, expected = Listener[int](limit=2000), 0
        for i, (size, is_read) in enumerate(items):
            listener.give(i, size)
            if is_read:
                heard = await listener.next()
                assert heard == [*range(heard[0], i + 1)]
                assert listener.has_gap == (heard[0] > expected)
                expected = i + 1

    asyncio.run(scenario())


@pytest.mark.parametrize("entries", [1, 30])
async def test_one_that_waits_for_the_end_reads_the_same_however_long_the_run_is(
    entries: int,
) -> None:
    store = CountingStore()
    writer = await writing(store)
    waiting = asyncio.ensure_future(
        writer.cluster.service.wait(TENANT, writer.ref.run_id, timeout=MINUTE)
    )
    await ticks()
    store.reads = 0
    for _ in range(entries):
        await writer.step()
        await writer.heard()
    assert store.reads == 0
    await writer.end()
    assert (await waiting).status == "completed"
    assert store.reads <= 3


@pytest.mark.parametrize("revision", [None, 1])
async def test_without_notices_of_other_processes_a_client_that_waits_reads_each_second(
    revision: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_POLL, 0.01)
    writer = await writing(live=MemoryLive(is_shared=False))
    waiting = asyncio.ensure_future(
        writer.cluster.service.wait(TENANT, writer.ref.run_id, timeout=MINUTE, revision=revision)
    )
    await ticks()
    writer.silence()
    await writer.pause()
    assert (await waiting).status == "paused"


@pytest.mark.parametrize("revision", [None, 1])
async def test_those_that_wait_for_one_run_read_it_together(revision: int | None) -> None:
    store = CountingStore()
    writer = await writing(store)
    service, run_id = writer.cluster.service, writer.ref.run_id
    waiting = [
        asyncio.ensure_future(service.wait(TENANT, run_id, timeout=MINUTE, revision=revision))
        for _ in range(50)
    ]
    await ticks()
    store.reads = 0
    await writer.pause()
    runs = await asyncio.gather(*waiting)
    assert [(run.status, run.revision) for run in runs] == [("paused", 2)] * 50
    assert store.reads <= 3


async def test_after_the_live_channel_was_lost_clients_subscribe_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_POLL, 0.01)
    live = MemoryLive()
    writer = await writing(live=live)
    service = writer.cluster.service
    async with aclosing(service.follow(TENANT, writer.ref.run_id)) as items:
        await anext(items)
        live.forget()
        await writer.step()
        first = await anext(items)  # by polling
        assert isinstance(first, Event) and first.seq == 2
        await anext(items)
        async with asyncio.timeout(10):
            following = asyncio.ensure_future(anext(items))
            while not following.done():
                writer.speak()
                await asyncio.sleep(0)
        assert isinstance(following.result(), Delta)


async def test_a_failure_reaches_every_client_and_the_next_one_begins_anew() -> None:
    store = FaultStore(MemoryStore())
    writer = await writing(store)
    service, run_id = writer.cluster.service, writer.ref.run_id
    starts = [await service.start(TENANT, run_id) for _ in range(5)]
    following = [asyncio.ensure_future(rest_of(service.news(start))) for start in starts]
    stays = service.news(await service.start(TENANT, run_id))
    await anext(stays)
    await ticks()
    store.plan(Fault(outcome="unavailable", method="get_many"))
    await writer.step()
    failures = await asyncio.gather(*following, return_exceptions=True)
    assert [type(failure) for failure in failures] == [Unavailable] * 5
    later = asyncio.ensure_future(seqs(writer))
    await ticks()
    await writer.end()
    assert await later == [*range(1, writer.events() + 1)]
    await stays.aclose()


async def test_a_run_that_is_deleted_while_a_client_is_behind_is_not_found() -> None:
    writer = await writing()
    service, run_id = writer.cluster.service, writer.ref.run_id
    start = await service.start(TENANT, run_id)
    await writer.end()
    await service.delete(TENANT, run_id)
    with pytest.raises(RunNotFound):
        await rest_of(service.news(start))


async def test_a_message_of_a_later_release_is_ignored() -> None:
    writer = await writing()
    following = asyncio.ensure_future(seqs(writer))
    await ticks()
    for message in (b"=", b"{}", b"[]", b'{"type":"status.changed"}', b"\xff"):
        await writer.cluster.live.publish(run_topic(writer.ref), message)
    await writer.end()
    assert await following == [*range(1, writer.events() + 1)]
