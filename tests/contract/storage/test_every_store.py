"""Requirements of every store; the run log depends on them."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from teamrun.errors import InvalidKey, NotFound, StorageError
from teamrun.storage.base import CHUNK_BYTES, ObjectStore


async def _fill(store: ObjectStore, keys: list[str]) -> None:
    await asyncio.gather(*(store.put_new(key, key.encode()) for key in keys))


async def test_it_is_an_object_store(store: ObjectStore) -> None:
    assert isinstance(store, ObjectStore)


async def test_a_key_is_created_once_and_its_object_stays_as_it_is(store: ObjectStore) -> None:
    assert await store.put_new("log/000000.json", b"first") is True
    assert await store.put_new("log/000000.json", b"second") is False
    found = await store.get("log/000000.json")
    assert found == b"first"
    assert type(found) is bytes


async def test_of_eight_racing_writers_exactly_one_creates_each_key(store: ObjectStore) -> None:
    keys = [f"race/{n:06d}" for n in range(60)]
    winners: dict[str, list[int]] = {key: [] for key in keys}
    overtakings = 0

    async def write(writer: int) -> None:
        nonlocal overtakings
        for key in keys:
            if await store.put_new(key, b"%d" % writer):
                winners[key].append(writer)
            else:
                overtakings += 1
            await asyncio.sleep(0)

    await asyncio.gather(*(write(writer) for writer in range(8)))
    assert Counter(len(wins) for wins in winners.values()) == {1: 60}
    assert overtakings == 420
    for key, stored in zip(keys, await store.get_many(keys), strict=True):
        assert stored == b"%d" % winners[key][0]


async def test_put_replaces_the_whole_object(store: ObjectStore) -> None:
    await store.put("result.json", b"a longer body than the next one")
    await store.put("result.json", b"short")
    assert await store.get("result.json") == b"short"
    assert await store.put_new("result.json", b"late") is False


async def test_a_missing_object_is_not_found(store: ObjectStore) -> None:
    await store.put_new("a/b", b"")
    for key in ("nothing", "a", "a/b/c", "a/c", "x/y/z"):
        with pytest.raises(NotFound):
            await store.get(key)


async def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    assert await store.put_new("open/00/default.run", b"") is True
    assert await store.put_new("open/00/default.run", b"") is False
    assert await store.get("open/00/default.run") == b""
    assert await store.list("open/") == ["open/00/default.run"]


async def test_a_large_body_comes_back_byte_for_byte(store: ObjectStore) -> None:
    data = random.Random(7).randbytes(7 * 1024 * 1024 + 1)
    assert await store.put_new("blob/new", data) is True
    assert await store.put_new("blob/new", data[::-1]) is False
    await store.put("blob/replaced", data)
    assert await store.get("blob/new") == data
    assert await store.get("blob/replaced") == data


async def test_get_many_keeps_the_order_of_the_keys(store: ObjectStore) -> None:
    await _fill(store, [f"k/{n}" for n in range(150)])
    asked = [f"k/{n}" for n in range(149, -1, -1)] + ["k/none", "k/3", "k/3"]
    expected = [key.encode() for key in asked]
    expected_or_none: list[bytes | None] = [*expected]
    expected_or_none[150] = None
    assert await store.get_many(asked) == expected_or_none
    assert await store.get_many([]) == []


async def test_keys_of_any_script_come_back_as_they_were(store: ObjectStore) -> None:
    keys = [
        "u/%20",
        "u/.hidden",
        "u/..two",
        "u/100%/x",
        "u/A",
        "u/a",
        "u/con",
        "u/e\u0301",
        "u/plus+and&<'\">",
        "u/q?x=1#y",
        "u/space in it",
        "u/star*[x]~",
        "u/\u00e9",
        "u/日本/語.json",
        "u/\U0001f600",
    ]
    await _fill(store, keys)
    assert await store.list("u/") == sorted(keys)
    assert await store.get_many(keys) == [key.encode() for key in keys]


@pytest.mark.parametrize("key", ["u/ends.", "u./x", "u/\\back"])
async def test_a_name_that_a_server_may_change_is_kept_or_refused(
    store: ObjectStore, key: str
) -> None:
    try:
        await store.put_new(key, b"x")
        expected = [key]
    except InvalidKey:
        expected = []
    assert await store.list("") == expected


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\x00b", "a\nb", "k" * 901]
)
async def test_an_invalid_key_is_refused(store: ObjectStore, key: str) -> None:
    calls: list[Awaitable[object]] = [
        store.put_new(key, b"x"),
        store.put(key, b"x"),
        store.get(key),
        store.delete(key),
    ]
    for call in calls:
        with pytest.raises(StorageError) as caught:
            await call
        assert caught.value.code == "invalid_key"
    assert await store.list("") == []


async def test_a_prefix_is_a_folder_not_the_beginning_of_a_name(store: ObjectStore) -> None:
    await _fill(store, ["run/1/a", "run/1/b/c", "run/10/a", "run/1-x", "runs/1/a"])
    assert await store.list("run/1/") == ["run/1/a", "run/1/b/c"]
    assert await store.list("run/") == ["run/1-x", "run/1/a", "run/1/b/c", "run/10/a"]
    assert await store.list("nothing/") == []
    with pytest.raises(StorageError):
        await store.list("run")


async def test_a_list_is_sorted_by_whole_keys_and_continues_after_any_of_them(
    store: ObjectStore,
) -> None:
    generator = random.Random(11)
    names = ["a", "a-", "a.b", "a0", "b", "ab", "é", "z", "m=1", "0"]
    folders = {"/".join(generator.choices(names, k=depth)) for depth in (1, 2, 3) for _ in range(9)}
    keys = sorted({f"{folder}/-{generator.randrange(5)}" for folder in folders for _ in range(3)})
    prefixes = ["", *sorted({key.rpartition("/")[0] + "/" for key in keys})]
    await _fill(store, keys)
    for _ in range(60):
        prefix = generator.choice(prefixes)
        after = generator.choice(["", *keys, *prefixes, "a", "a/a0/", "zz"])
        limit = generator.choice([1, 2, 5, 1000])
        expected = [key for key in keys if key.startswith(prefix) and key > after][:limit]
        assert await store.list(prefix, after=after, limit=limit) == expected


async def test_pages_cover_a_folder_of_more_than_a_thousand(store: ObjectStore) -> None:
    keys = [f"list/{n:05d}.run" for n in range(1203)]
    await _fill(store, keys)
    found: list[str] = []
    while page := await store.list("list/", after=found[-1] if found else "", limit=400):
        found += page
    assert found == keys
    assert len(await store.list("list/")) == 1000
    assert await store.list("list/", limit=2000) == keys


async def test_a_deleted_object_is_gone_and_its_key_free(store: ObjectStore) -> None:
    await _fill(store, ["open/00/x", "open/00/y"])
    await store.delete("open/00/x")
    await store.delete("open/00/x")
    await store.delete("open/99/never")
    assert await store.list("") == ["open/00/y"]
    await store.delete("open/00/y")
    assert await store.list("open/") == []
    assert await store.put_new("open/00/x", b"again") is True
    assert await store.get("open/00/x") == b"again"


async def test_a_check_passes_and_leaves_nothing_behind(store: ObjectStore) -> None:
    await store.check()
    await store.check()
    assert await store.list("") == []


async def test_a_cancelled_caller_leaves_the_store_working(store: ObjectStore) -> None:
    task = asyncio.create_task(store.put_new("c/1", b"one"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await store.put_new("c/2", b"two") is True
    assert await store.get("c/2") == b"two"


async def test_many_objects_are_deleted_and_missing_ones_are_no_error(store: ObjectStore) -> None:
    keys = [f"many/{n:04d}" for n in range(1_030)]
    await _fill(store, keys)
    await store.put_new("other", b"")
    await store.delete_many([])
    await store.delete_many([*keys[:-3], "many/none", "none/at/all"])
    assert await store.list("many/") == keys[-3:]
    await store.delete_many(keys)
    assert await store.list("", limit=5) == ["other"]


async def test_of_many_an_invalid_key_deletes_nothing_under_it(store: ObjectStore) -> None:
    await store.put_new("a", b"")
    with pytest.raises(StorageError):
        await store.delete_many(["../a", "a/../b"])
    assert await store.list("") == ["a"]


SIZES = (0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7)


@pytest.mark.parametrize("size", SIZES)
async def test_a_stream_has_the_bytes_of_the_object_in_bounded_chunks(
    store: ObjectStore, size: int
) -> None:
    data = random.Random(size).randbytes(size)
    await store.put("blob", data)
    chunks = [chunk async for chunk in store.stream("blob")]
    assert b"".join(chunks) == data
    assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in chunks)


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 0), (0, 1), (5, 5), (5, 100), (7, None), (CHUNK_BYTES, None), (10, CHUNK_BYTES + 11)],
)
async def test_a_range_of_a_stream_is_that_slice(
    store: ObjectStore, start: int, end: int | None
) -> None:
    data = random.Random(3).randbytes(CHUNK_BYTES + 10)
    await store.put("blob", data)
    found = b"".join([chunk async for chunk in store.stream("blob", start=start, end=end)])
    assert found == data[start:end]


@pytest.mark.parametrize(("start", "end"), [(3, None), (9, 10), (-1, None), (2, 1)])
async def test_a_range_outside_the_object_is_refused(
    store: ObjectStore, start: int, end: int | None
) -> None:
    await store.put("blob", b"abc")
    with pytest.raises(StorageError):
        await anext(store.stream("blob", start=start, end=end))


async def test_a_stream_of_a_missing_object_is_not_found(store: ObjectStore) -> None:
    await store.put_new("a/b", b"")
    for key in ("none", "a", "a/b/c"):
        with pytest.raises(NotFound):
            await anext(store.stream(key))


async def test_a_stream_that_is_abandoned_leaves_the_store_usable(store: ObjectStore) -> None:
    await store.put("blob", bytes(3 * CHUNK_BYTES))
    async with aclosing(store.stream("blob")) as stream:
        await anext(stream)
    assert len(await store.get("blob")) == 3 * CHUNK_BYTES


async def test_stats_are_the_list_with_sizes_and_times(store: ObjectStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    for n in range(5):
        await store.put_new(f"s/{n}", b"x" * n)
    await store.put("s/3", b"replaced")
    found = await store.stats("s/", after="s/0", limit=3)
    assert [(stat.key, stat.size) for stat in found] == [("s/1", 1), ("s/2", 2), ("s/3", 8)]
    assert all(before <= stat.modified <= datetime.now(UTC) for stat in found)
    assert await store.stats("none/") == []
