"""Uploads that are repeated with their Idempotency-Key."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.support.batches import Batches, pieces
from tests.support.runs import TENANT

from teamrun.batches.files import Files, Uploaded
from teamrun.batches.keys import file_list_folder, file_list_key
from teamrun.errors import FileNotFound, IdempotencyConflict, Unavailable
from teamrun.storage.base import ObjectStore
from teamrun.testing import Fault, FaultStore, MemoryStore

DATA = b"x" * 9_000_000  # two parts


async def upload(files: Files, data: bytes = DATA, *, name: str | None = "a") -> Uploaded:
    return await files.upload_once(TENANT, pieces(data), name=name, limit=10**8, key="k")


async def names(store: ObjectStore) -> list[str]:
    return await store.list(file_list_folder(TENANT))


async def test_the_same_upload_is_one_file() -> None:
    batches = Batches()
    files = batches.service.files

    first, second = await upload(files), await upload(files)

    assert (first.replayed, second.replayed) == (False, True)
    assert first.file == second.file
    assert len(await names(batches.store)) == 1


@pytest.mark.parametrize(("data", "name"), [(b"y", "a"), (DATA, "b"), (DATA, None)])
async def test_another_upload_with_the_same_key_is_refused(data: bytes, name: str | None) -> None:
    batches = Batches()
    files = batches.service.files
    await upload(files)

    with pytest.raises(IdempotencyConflict):
        await upload(files, data, name=name)

    assert len(await names(batches.store)) == 1
    assert len(await batches.store.list("t/")) == 3


async def test_uploads_at_the_same_time_are_one_file() -> None:
    batches = Batches()
    files = batches.service.files

    found = await asyncio.gather(*(upload(files) for _ in range(5)))

    assert len({each.file.id for each in found}) == 1
    assert [each.replayed for each in found].count(False) == 1
    assert len(await batches.store.list("t/")) == 3
    assert await batches.store.list("uploads/") == []


async def test_an_upload_that_conflicts_with_one_at_the_same_time_leaves_nothing() -> None:
    batches = Batches()
    files = batches.service.files

    found = await asyncio.gather(
        upload(files), upload(files, b"y" * 9_000_000), return_exceptions=True
    )

    assert [type(each) for each in found].count(IdempotencyConflict) == 1
    assert len(await batches.store.list("t/")) == 3
    assert await batches.store.list("uploads/") == []


async def test_a_repeated_upload_completes_one_whose_process_was_killed() -> None:
    batches = Batches()
    files = batches.service.files
    first = await upload(files)
    await batches.store.delete(file_list_key(TENANT, first.file.id))

    second = await upload(files)

    assert (second.replayed, second.file) == (True, first.file)
    assert await files.get(TENANT, first.file.id) == first.file
    content = [chunk async for chunk in files.content(TENANT, first.file.id)]
    assert b"".join(content) == DATA


async def test_the_key_of_a_deleted_file_is_free() -> None:
    batches = Batches()
    files = batches.service.files
    first = await upload(files)
    await files.delete(TENANT, first.file.id)

    second = await upload(files, b"other")

    assert (second.replayed, second.file.size) == (False, 5)
    with pytest.raises(FileNotFound):
        await files.get(TENANT, first.file.id)


async def test_an_upload_whose_description_could_not_be_stored_is_completed_or_removed() -> None:
    store = FaultStore(MemoryStore())
    batches = Batches(store=store)
    files = batches.service.files
    store.plan(Fault(outcome="unavailable", method="put", key="*/file-list/*", times=None))

    with pytest.raises(Unavailable):
        await upload(files)
    store.heal()
    second = await upload(files)
    await batches.store.delete(file_list_key(TENANT, second.file.id))
    batches.cluster.clock.shift += timedelta(days=2)
    await files.sweep()

    assert second.replayed
    assert await store.list("") == []
    assert (await upload(files)).replayed is False


async def test_an_upload_that_breaks_leaves_its_key_free() -> None:
    batches = Batches()
    files = batches.service.files

    async def broken() -> AsyncIterator[bytes]:
        yield DATA
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await files.upload_once(TENANT, broken(), name="a", limit=10**8, key="k")

    assert await batches.store.list("") == []
    assert (await upload(files)).replayed is False
