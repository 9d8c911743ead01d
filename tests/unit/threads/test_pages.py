"""Copies of many entries of a thread's log: the state is that of the entries, and costs less."""

import random
from typing import Any

import pytest
from tests.support.runs import TENANT
from tests.unit.threads.test_growth import CountingStore

from teamrun.core.clock import SystemClock
from teamrun.core.ids import new_id
from teamrun.threads.log import ThreadLogs
from teamrun.threads.pages import PAGE
from teamrun.threads.records import (
    Changed,
    Created,
    Joined,
    Removed,
    ThreadBody,
    ThreadEntry,
    ThreadState,
    entry_folder,
)

THREAD = new_id("thr")


def entry(chance: random.Random, n: int, runs: list[str]) -> ThreadBody:
    """Any entry that may follow."""
    if not n:
        return Created(metadata={"a": "b"}, request_hash="h")
    kind = chance.random()
    if kind < 0.1:
        return Changed(metadata={"n": str(n)})
    if runs and kind < 0.2:
        return Removed(run_id=chance.choice(runs))
    before, latest = runs[-3:], runs[-1] if runs else None
    runs.append(f"run_{n}")
    return Joined(
        run_id=runs[-1],
        on_busy=chance.choice(("enqueue", "interrupt", "rollback")),
        busy=chance.sample(before, min(len(before), 2)),
        after=latest,
        ended=chance.choice([*before, None]),
        left=chance.choice([*before, None]),
    )


def logs(store: CountingStore) -> ThreadLogs:
    return ThreadLogs(store, SystemClock())


async def filled(count: int, seed: int = 1) -> CountingStore:
    store, chance, runs = CountingStore(), random.Random(seed), list[str]()
    writer = logs(store)
    for n in range(count):
        assert await writer.append(TENANT, THREAD, n, entry(chance, n, runs))
    store.keys.clear()
    return store


def shown(state: ThreadState | None) -> dict[str, Any]:
    assert state is not None
    return vars(state)


async def replayed(store: CountingStore) -> dict[str, Any]:
    """The state of all entries, one after the other, without pages."""
    state = ThreadState(THREAD)
    for key in await store.list(entry_folder(TENANT, THREAD)):
        try:
            state.apply(ThreadEntry.model_validate_json(await store.get(key)))
        except ValueError:
            state.skip()
    return vars(state)


async def pages(store: CountingStore) -> list[str]:
    return [key for key in await store.list(f"t/{TENANT}/threads/") if "/pages/" in key]


async def read(store: CountingStore) -> dict[str, Any]:
    """What a new process reads, while its cost is counted."""
    store.keys.clear()
    return shown(await logs(store).any_state(TENANT, THREAD))


@pytest.mark.parametrize("count", [1, 7, 8, 9, PAGE, PAGE + 1, 5 * PAGE, 5 * PAGE + 40])
@pytest.mark.parametrize("damage", ["nothing", "entries", "pages", "lost pages"])
async def test_the_state_is_that_of_all_entries(count: int, damage: str) -> None:
    store, chance = await filled(count, seed=count), random.Random(count)
    written = await pages(store)
    assert len(written) == count // PAGE
    for key in written[::2]:
        if damage == "pages":
            await store.put(key, b"garbage")
    if damage in ("lost pages", "entries"):
        await store.delete_many(written if damage == "entries" else written[1:])
    if damage == "entries":
        keys = await store.list(entry_folder(TENANT, THREAD))
        for key in chance.sample(keys, min(3, count)):
            await store.put(key, b"garbage")
    expected = await replayed(store)
    for _ in range(2):  # the first one may write pages
        assert await read(store) == expected


async def test_a_new_process_reads_few_objects() -> None:
    few, many = await filled(3 * PAGE + 5), await filled(30 * PAGE + 5)
    costs: list[int] = []
    for store in (few, many):
        await read(store)
        costs.append(len(store.keys))
    assert costs[0] < 3 * PAGE
    assert costs[1] - costs[0] <= 2 * 27


async def test_pages_that_were_lost_are_written_again() -> None:
    store = await filled(3 * PAGE)
    written = {key: await store.get(key) for key in await pages(store)}
    await store.delete_many(list(written))
    await read(store)
    assert {key: await store.get(key) for key in await pages(store)} == written


async def test_a_page_with_a_damaged_entry_is_not_written() -> None:
    store = await filled(3 * PAGE)
    written = await pages(store)
    await store.delete_many(written)
    [_, second, *_] = await store.list(entry_folder(TENANT, THREAD))
    await store.put(second, b"garbage")
    await read(store)
    assert await pages(store) == written[1:]
