"""A page of events costs the same wherever it is in the log."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.refs import RunRef
from teamrun.errors import UnreadableEntry
from teamrun.runs.log.entries import LoggedEvent, Step
from teamrun.runs.log.keys import entry_key
from teamrun.runs.log.state import INDEXED, RunState
from teamrun.runs.service.resources import Event
from teamrun.storage.memory import MemoryStore

_ENTRIES = 600


class CountingStore(MemoryStore):
    read = 0

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        self.read += len(keys)
        return await super().get_many(keys)


async def long_run() -> tuple[Cluster, CountingStore, RunRef]:
    """A run whose every entry after the first has three events."""
    store = CountingStore()
    cluster = Cluster({}, team=solo(), store=store)
    ref = await cluster.submit()
    log = cluster.log(ref)
    state = await log.state()
    assert state is not None
    for n in range(1, _ENTRIES):
        events = [LoggedEvent("turn.progress", "a", {"n": n, "k": k}) for k in range(3)]
        entry = await log.append(state, Step(), events, epoch=0)
        assert entry is not None
    return cluster, store, ref


@pytest.mark.parametrize("limit", [1, 100, 250])
async def test_every_page_reads_about_as_many_entries_as_it_shows(limit: int) -> None:
    cluster, store, ref = await long_run()
    await cluster.service.get(TENANT, ref.run_id)  # the view
    seen: list[int] = []
    costs: list[int] = []
    after = 0
    while True:
        store.read = 0
        page = await cluster.service.events(TENANT, ref.run_id, after=after, limit=limit)
        costs.append(store.read)
        seen += [event.seq for event in page.data]
        after = seen[-1]
        if not page.has_more or len(costs) == 20:
            break
    assert seen == [*range(1, len(seen) + 1)]
    assert max(costs) <= limit / 3 + 2 * INDEXED + 5


async def test_the_last_page_is_reached_without_those_before_it() -> None:
    cluster, store, ref = await long_run()
    await cluster.service.get(TENANT, ref.run_id)
    store.read = 0
    page = await cluster.service.events(TENANT, ref.run_id, after=1700)
    assert [event.seq for event in page.data] == [*range(1701, 1799)]
    assert not page.has_more
    assert store.read <= 2 * INDEXED


async def test_a_resumed_stream_begins_at_its_place() -> None:
    cluster, store, ref = await long_run()
    await cluster.service.get(TENANT, ref.run_id)
    store.read = 0
    following: AsyncGenerator[object, None] = cluster.service.follow(TENANT, ref.run_id, after=1700)
    async with aclosing(following):
        first = await anext(following)
    assert isinstance(first, Event)
    assert first.seq == 1701
    assert store.read <= 2 * INDEXED


async def test_a_type_that_is_rare_is_found_wherever_it_is() -> None:
    cluster, _, ref = await long_run()
    types = frozenset({"run.queued", "no.such"})
    page = await cluster.service.events(TENANT, ref.run_id, limit=1, types=types)
    assert [event.type for event in page.data] == ["run.queued"]
    assert not page.has_more


async def test_an_entry_that_is_missing_makes_its_page_unreadable() -> None:
    cluster, store, ref = await long_run()
    await cluster.service.get(TENANT, ref.run_id)
    await store.delete(entry_key(ref, 300))
    page = await cluster.service.events(TENANT, ref.run_id)
    assert len(page.data) == 100
    with pytest.raises(UnreadableEntry) as caught:
        await cluster.service.events(TENANT, ref.run_id, after=890)
    assert caught.value.code == "unreadable_entry"


async def test_a_view_without_the_index_is_not_used() -> None:
    cluster, _, ref = await long_run()
    state = await cluster.log(ref).state()
    assert state is not None
    assert len(state.index) == 10
    state.index.clear()  # as an earlier release shares it
    with pytest.raises(ValueError):
        RunState.from_json(state.to_json())
