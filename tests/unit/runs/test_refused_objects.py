"""A store that refuses one object (no permission, a bad sector, a symbolic link) stops one run."""

import pytest
from tests.support.damage import Wreck, ages, build, cluster_over
from tests.support.runs import TENANT, Cluster

from teamrun.core.refs import RunRef
from teamrun.errors import DamagedBlob, StorageError, TeamrunError, UnreadableEntry
from teamrun.runs.log.archive import write_result
from teamrun.runs.log.keys import entry_key
from teamrun.runs.service.listing import RunFilter
from teamrun.storage.memory import MemoryStore


class RefusingStore(MemoryStore):
    """Refuses one object, for reading and for writing."""

    refused = ""

    def _check(self, *keys: str) -> None:
        if self.refused in keys:
            raise StorageError("permission denied")

    async def get(self, key: str) -> bytes:
        self._check(key)
        return await super().get(key)

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        self._check(*keys)
        return await super().get_many(keys)

    async def put(self, key: str, data: bytes) -> None:
        self._check(key)
        await super().put(key, data)

    async def put_new(self, key: str, data: bytes) -> bool:
        self._check(key)
        return await super().put_new(key, data)

    async def delete(self, key: str) -> None:
        self._check(key)
        await super().delete(key)


async def over(wreck: Wreck, refused: str) -> Cluster:
    store = RefusingStore()
    for key, data in wreck.objects.items():
        await store.put(key, data)
    store.refused = refused
    return cluster_over(store)


async def keys_of(wreck: Wreck) -> list[str]:
    runs = {ref.run_id for ref in wreck.runs.values()}
    return [key for key in wreck.objects if any(run_id in key for run_id in runs)]


async def test_no_refused_object_stops_the_list_the_reaper_or_another_run() -> None:
    wreck = await build()
    queued = wreck.runs["bystander that is queued"]
    keys = await keys_of(wreck)
    assert len(keys) > 30
    for key in keys:
        cluster = await over(wreck, key)
        owner = wreck.owner_of(key)

        page = await cluster.service.list(TENANT, RunFilter())
        assert len(page.data) == len(wreck.runs), key
        ages(cluster)
        reaper = cluster.reaper()
        await reaper.sweep()
        await reaper.keep_up()
        if owner != "bystander that is queued":
            assert queued in cluster.queue.sent, key
        await cluster.service.close()


@pytest.mark.parametrize("n", [0, 1, 2])
async def test_the_run_itself_is_unreadable_and_the_entry_is_named(n: int) -> None:
    wreck = await build()
    ref: RunRef = wreck.runs["ended"]
    cluster = await over(wreck, entry_key(ref, n))

    run = await cluster.service.get(TENANT, ref.run_id)

    assert run.status == "unreadable"
    assert run.unreadable is not None
    assert (run.unreadable.entry, run.unreadable.key) == (n, entry_key(ref, n))
    with pytest.raises(UnreadableEntry):
        await cluster.service.events(TENANT, ref.run_id)
    await cluster.service.close()


async def test_a_refused_file_of_a_run_is_damaged_and_not_the_stores_fault() -> None:
    wreck = await build()
    ref = wreck.runs["ended"]
    blobs = [key for key in wreck.objects if f"/{ref.run_id}/blob/" in key]
    codes = set[str]()
    for key in blobs:
        cluster = await over(wreck, key)
        try:
            await cluster.service.artifact(TENANT, ref.run_id, "note.txt")
        except TeamrunError as error:
            codes.add(error.code)
        await cluster.service.close()
    assert codes <= {DamagedBlob.code, UnreadableEntry.code}
    assert DamagedBlob.code in codes


@pytest.mark.parametrize("data", [b"", b"[" * 5000, b'{"v":1,"n":0,"kind":"accepted"}'])
async def test_an_entry_that_is_damaged_before_the_end_is_archived_is_named(data: bytes) -> None:
    wreck = await build()
    cluster = await over(wreck, "")
    ref = wreck.runs["ended"]
    log = cluster.log(ref)
    state = await log.state()
    assert state is not None
    await cluster.store.put(entry_key(ref, 0), data)

    with pytest.raises(UnreadableEntry) as caught:
        await write_result(cluster.store, log, state)

    assert caught.value.entry == 0
    await cluster.service.close()
