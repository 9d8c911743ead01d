"""Restoration of lost markers."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from tests.support.damage import build, cluster_over
from tests.support.runs import TENANT, Cluster, solo

from teamrun.core.refs import RunRef
from teamrun.runs.log.announcer import view_key
from teamrun.runs.log.keys import (
    entry_key,
    list_folder,
    list_marker,
    open_marker,
    ref_of_list_marker,
)
from teamrun.runs.log.spec import InputMessage
from teamrun.storage.memory import MemoryStore

Speak = Callable[[Cluster, RunRef], Awaitable[object]]

SIGNALS: dict[str, Speak] = {
    "cancel": lambda cluster, ref: cluster.service.cancel(TENANT, ref.run_id),
    "pause": lambda cluster, ref: cluster.service.pause(TENANT, ref.run_id),
    "message": lambda cluster, ref: cluster.service.speak(
        TENANT, ref.run_id, InputMessage(content="hello")
    ),
}


async def deployed() -> tuple[MemoryStore, Cluster, dict[str, RunRef]]:
    built = await build()
    store = MemoryStore()
    for key, data in built.objects.items():
        await store.put(key, data)
    return store, cluster_over(store), dict(built.runs)


async def lose_markers(store: MemoryStore) -> None:
    for key in [*await store.list("open/"), *await store.list("due/")]:
        await store.delete(key)


@pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)
async def test_a_signal_to_a_claimed_run_puts_its_marker_again(signal: Speak) -> None:
    store, cluster, runs = await deployed()
    await lose_markers(store)
    await signal(cluster, runs["begun"])
    assert await store.get_many([open_marker(runs["begun"])]) == [b""]


async def test_a_repeated_cancel_puts_the_marker_again() -> None:
    store, cluster, runs = await deployed()
    await cluster.service.cancel(TENANT, runs["begun"].run_id)
    await lose_markers(store)
    await cluster.service.cancel(TENANT, runs["begun"].run_id)
    assert await store.get_many([open_marker(runs["begun"])]) == [b""]


async def test_runs_whose_markers_are_lost_are_found_on_the_list() -> None:
    store, cluster, runs = await deployed()
    await lose_markers(store)
    await cluster.reaper().keep_up()
    opened = {key.rpartition("/")[2] for key in await store.list("open/")}
    going = ("begun", "fork", "bystander that is queued")
    assert opened == {str(runs[name]) for name in going}
    due = {key.rpartition("/")[2] for key in await store.list("due/")}
    assert due == {str(runs["later"])}


async def test_the_walk_over_the_list_continues_where_another_process_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("teamrun.runs.engine.upkeep._PAGE", 2)
    store, cluster, _ = await deployed()
    await lose_markers(store)
    found: list[int] = []
    for _ in range(4):
        await cluster.reaper().keep_up()  # each is a new process
        found.append(len(await store.list("open/")) + len(await store.list("due/")))
    assert found[-1] == 4
    assert found[0] < 4


@pytest.mark.parametrize("cursor", [b"", b"\xff", b"t/", b"nonsense", b"t/a/index/z", b"t//list/"])
async def test_a_damaged_cursor_begins_the_walk_anew(cursor: bytes) -> None:
    store, cluster, _ = await deployed()
    await lose_markers(store)
    await store.put("sweep/list", cursor)
    await cluster.reaper().keep_up()
    await cluster.reaper().keep_up()
    assert len(await store.list("open/")) == 3


async def test_a_run_that_had_ended_is_not_begun_again_if_its_last_entry_is_lost() -> None:
    store, cluster, runs = await deployed()
    entries = await cluster.entries(runs["ended"])
    await store.delete(entry_key(runs["ended"], len(entries) - 1))
    await cluster.reaper().keep_up()
    assert await store.get_many([open_marker(runs["ended"])]) == [None]


async def test_the_list_marker_of_a_run_that_was_removed_goes_in_time() -> None:
    store, cluster, runs = await deployed()
    ref = runs["ended"]
    state = await cluster.log(ref).state()
    assert state is not None
    marker = list_marker(ref, state.spec.created_at)
    for key in await store.list("t/"):
        if "/runs/" in key and ref.run_id in key:
            await store.delete(key)
    cluster.clock.shift += timedelta(hours=2)
    await cluster.reaper().keep_up()
    assert await store.get_many([marker]) == [None]


async def test_the_second_time_within_an_hour_is_as_punctual_as_the_first() -> None:
    cluster = Cluster({}, team=ASKING)
    ref = await cluster.submit(delay_seconds=1)
    reaper = cluster.reaper()
    cluster.clock.shift += timedelta(seconds=1)
    assert await reaper.sweep() == 1
    await cluster.worker().execute(ref)
    assert await reaper.sweep() == 0
    cluster.clock.shift += timedelta(seconds=5)
    assert await reaper.sweep() == 0
    cluster.clock.shift += timedelta(seconds=5)
    assert await reaper.sweep() == 1
    await cluster.worker("w2").execute(ref)
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "completed"


ASKING = {
    "type": "round_robin_group_chat",
    "participants": [
        {
            "type": "user_proxy_agent",
            "name": "boss",
            "expires_in_seconds": 10,
            "default_answer": "none",
        }
    ],
    "max_turns": 1,
}


class CountingStore(MemoryStore):
    """Counts requests by kind."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = Counter[str]()

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        self.requests["get"] += len(keys)
        return await super().get_many(keys)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        self.requests["list"] += 1
        return await super().list(prefix, after=after, limit=limit)


async def test_ended_runs_cost_the_walk_one_small_request_and_are_read_once_a_day() -> None:
    store = CountingStore()
    cluster = Cluster({"a": ["DONE"] * 9}, team=solo(), store=store)
    for _ in range(9):
        ref = await cluster.submit()
        await cluster.worker().execute(ref)
        await cluster.close()
        await cluster.live.drop_view(view_key(ref))
    read: list[int] = []
    for _ in range(24):
        cluster.clock.shift += timedelta(hours=1)
        store.requests.clear()
        await cluster.reaper().keep_up()
        await cluster.reaper().keep_up()  # the end of the list
        for key in await store.list(list_folder(TENANT)):
            await cluster.live.drop_view(view_key(ref_of_list_marker(TENANT, key)))
        read.append(store.requests["get"])
    assert 0 in read
    assert sum(read) <= 9 * 10  # each whole log once, and its result


async def test_the_loss_of_the_end_of_a_run_is_reported_within_a_day(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, cluster, runs = await deployed()
    ref = runs["ended"]
    await store.delete(entry_key(ref, len(await cluster.entries(ref)) - 1))
    for _ in range(24):
        cluster.clock.shift += timedelta(hours=1)
        await cluster.reaper().keep_up()
        await cluster.reaper().keep_up()
    reported = [r for r in caplog.records if vars(r).get("action") == "reaper.end_lost"]
    assert reported
    assert await store.get_many([open_marker(ref)]) == [None]
