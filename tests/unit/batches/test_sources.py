"""Inputs of batches by URL: which are allowed, and what a batch of one has."""

import gzip
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from tests.support.batches import Batches, jsonl
from tests.support.runs import TENANT

from teamrun.batches.requests import BatchRequest
from teamrun.batches.sources import Sources
from teamrun.errors import InvalidItems, NotFound, StorageError, Unavailable, UsageError
from teamrun.storage.address import StoreAddress
from teamrun.storage.pinned import ObjectReader, Pinned
from teamrun.testing import MemoryStore


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


class Bucket:
    """Stands in for a bucket; has each object, and keeps the keys that were looked for."""

    def __init__(self, error: StorageError | None = None) -> None:
        self.asked: list[str] = []
        self._error = error

    async def pin(self, key: str) -> Pinned:
        self.asked.append(key)
        if self._error is not None:
            raise self._error
        return Pinned(key, "tag", 4)

    async def pinned(self, found: Pinned) -> AsyncGenerator[bytes, None]:
        yield b"data"

    async def close(self) -> None:
        """Nothing is open."""


def sources(prefix: str, reader: ObjectReader, *, limit: int = 9) -> Sources:
    def opened(_: StoreAddress) -> ObjectReader:
        return reader

    return Sources([prefix], limit=limit, opener=opened)


def code(error: InvalidItems) -> str:
    """The code of the only problem, which names the field."""
    [problem] = error.problems
    assert problem["pointer"] == "/input_url"
    return problem["code"]


ALLOWED = [
    ("s3://b/tasks/jan.jsonl", "jan.jsonl"),
    ("s3://b/tasks/2026/jan.jsonl", "2026/jan.jsonl"),
    ("s3://b/tasks/a%20b%2525.csv", "a b%25.csv"),
    ("s3://b/tasks/ü→雨", "ü→雨"),
    ("s3://b/tasks/...", "..."),
    ("s3://b/tasks/@:;&=+$,", "@:;&=+$,"),
]


@pytest.mark.parametrize(("url", "key"), ALLOWED)
async def test_an_object_below_a_prefix_is_found(url: str, key: str) -> None:
    bucket = Bucket()
    found = await sources("s3://b/tasks", bucket).open(url)

    assert bucket.asked == [key]
    assert (found.name, found.tag) == (key.rpartition("/")[2], "tag")
    assert [chunk async for chunk in found.content] == [b"data"]


REFUSED = {
    "input_not_allowed": [
        "s3://b/tasks",
        "s3://b/tasks2/x",
        "s3://b/task/x",
        "s3://b/Tasks/x",
        "s3://b/x/tasks/y",
        "s3://B/tasks/x",
        "s3://b.evil/tasks/x",
        "s3://bb/tasks/x",
        "az://b/tasks/x",
        "file:///b/tasks/x",
        "file:///etc/passwd",
    ],
    "invalid_input_url": [
        "s3://b",
        "s3://b/",
        "s3://b/tasks/",
        "s3://b/tasks//x",
        "s3://b//tasks/x",
        "s3:///tasks/x",
        "s3:/b/tasks/x",
        "s3://b/tasks/../x",
        "s3://b/tasks/./x",
        "s3://b/tasks/%2e%2e/x",
        "s3://b/tasks/%2E./x",
        "s3://b/tasks/..%2fx",
        "s3://b/tasks/a%5c..%5cx",
        "s3://b/tasks/a\\x",
        "s3://b/tasks/x?endpoint=http://evil",
        "s3://b/tasks/x#y",
        "s3://b/tasks/%",
        "s3://b/tasks/%zz",
        "s3://b/tasks/%ff",
        "s3://b/tasks/%00",
        "s3://b/tasks/a\nb",
        "s3://b/tasks/\ud800",
        "s3://user@b/tasks/x",
        "s3://user:pass@b/tasks/x",
        "s3://b:443/tasks/x",
        "s3://b\t/tasks/x",
        " s3://b/tasks/x",
        "S3://b/tasks/x",
        "s3://[::1]/tasks/x",
        "http://b/tasks/x",
        "memory://b/tasks/x",
        "b/tasks/x",
        "/etc/passwd",
        "file://b/tasks/x",
        "file:////etc/passwd",
        "file:///a//b",
        "file:///../etc/passwd",
        "file://",
        "",
    ],
}


@pytest.mark.parametrize(
    ("reason", "url"), [(reason, url) for reason, urls in REFUSED.items() for url in urls]
)
async def test_another_url_is_refused_and_nothing_is_looked_for(reason: str, url: str) -> None:
    bucket = Bucket()
    with pytest.raises(InvalidItems) as caught:
        await sources("s3://b/tasks", bucket).open(url)

    assert code(caught.value) == reason
    assert bucket.asked == []
    assert "tasks" not in str(caught.value)  # what is allowed is the operator's affair


async def test_without_prefixes_nothing_is_allowed() -> None:
    with pytest.raises(InvalidItems) as caught:
        await Sources().open("file:///etc/passwd")

    assert code(caught.value) == "input_not_allowed"
    assert "TEAMRUN_BATCH_INPUTS" in str(caught.value)


async def test_the_innermost_prefix_has_the_endpoint() -> None:
    opened: dict[str, Bucket] = {}

    def opener(address: StoreAddress) -> ObjectReader:
        return opened.setdefault(dict(address.options)["endpoint"], Bucket())

    prefixes = ["s3://b?endpoint=http://outer", "s3://b/in?endpoint=http://inner"]
    await Sources(prefixes, opener=opener).open("s3://b/in/x")

    assert opened["http://inner"].asked == ["x"]
    assert opened["http://outer"].asked == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotFound("bucket 'secret' of http://internal"), "input_not_found"),
        (StorageError("403 from http://internal"), "input_unreadable"),
    ],
)
async def test_an_object_that_cannot_be_read_is_named_without_the_text_of_the_store(
    error: StorageError, reason: str
) -> None:
    reader = Bucket(error)
    with pytest.raises(InvalidItems) as caught:
        await sources("s3://b/a", reader).open("s3://b/a/x")

    assert code(caught.value) == reason
    assert "internal" not in str(caught.value)


async def test_storage_that_does_not_respond_is_no_fault_of_the_url() -> None:
    reader = Bucket(Unavailable("away"))
    with pytest.raises(Unavailable):
        await sources("s3://b/a", reader).open("s3://b/a/x")


async def test_an_object_that_is_too_large_is_refused() -> None:
    def up_to(limit: int) -> Sources:
        return sources("s3://b/a", Bucket(), limit=limit)

    await up_to(4).open("s3://b/a/x")
    with pytest.raises(InvalidItems) as caught:
        await up_to(3).open("s3://b/a/x")

    assert code(caught.value) == "input_too_large"


@pytest.mark.parametrize(
    ("prefix", "store"),
    [
        ("memory://", None),
        ("ftp://x/y", None),
        ("s3://user:pass@b/x", None),
        ("s3://b/x?secret=1", None),
        ("az://c/x", None),  # its account is not known
        ("s3://b/runs", "s3://b/runs/prod"),
        ("s3://b/runs/prod/t", "s3://b/runs/prod"),
        ("s3://b", "s3://b/runs"),
        ("s3://b/runs?region=x", "s3://b/runs"),
        ("file:///srv/data", "file:///srv/data/store"),
    ],
)
def test_an_unusable_prefix_ends_the_start(prefix: str, store: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        Sources(["file:///srv/ok", prefix], apart_from=store)

    assert "TEAMRUN_BATCH_INPUTS" in str(caught.value)
    assert "entry 2" in str(caught.value)
    assert ("TEAMRUN_STORE_URL" in str(caught.value)) == (
        store is not None or prefix == "memory://"
    )
    assert "pass" not in str(caught.value)


def test_a_link_to_the_store_is_no_way_around(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to("store")

    with pytest.raises(UsageError):
        Sources([str(tmp_path / "link")], apart_from=str(tmp_path / "store"))
    Sources([str(tmp_path / "other")], apart_from=str(tmp_path / "store"))


def batches(folder: Path, **given: Any) -> Batches:
    return Batches(sources=Sources([folder.as_uri()]), **given)


def request(url: str, **given: Any) -> BatchRequest:
    return BatchRequest.model_validate({"team": "team", "input_url": url, **given})


async def test_a_batch_has_the_items_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "Jan 26.jsonl"
    path.write_bytes(jsonl({"input": "a"}, {"input": "b", "custom_id": "x"}))
    service = batches(tmp_path).service
    batch = (await service.submit(TENANT, request(path.as_uri()))).batch

    assert batch.input_url == path.as_uri()
    page = await service.items(TENANT, batch.id)
    assert [(item.custom_id, item.input) for item in page.data] == [("1", "a"), ("x", "b")]


async def test_a_name_that_ends_in_csv_means_csv(tmp_path: Path) -> None:
    path = tmp_path / "books.CSV"
    path.write_bytes(b"title\nEmma\n")
    service = batches(tmp_path).service
    made = await service.submit(TENANT, request(path.as_uri(), input_template="On {title}"))

    page = await service.items(TENANT, made.batch.id)
    assert [item.input for item in page.data] == ["On Emma"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gzip.compress(b"{}", mtime=0), "compressed_file"),
        ("{}".encode("utf-16"), "wrong_encoding"),
        (b"\x00\x01\x02\x03\x04", "wrong_encoding"),
        (b"", "empty_file"),
        (b"no JSON\n", "invalid_json"),
    ],
)
async def test_a_file_of_another_kind_is_refused_and_leaves_nothing(
    data: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    store = MemoryStore()
    with pytest.raises(InvalidItems) as caught:
        await batches(tmp_path, store=store).service.submit(TENANT, request(path.as_uri()))

    assert caught.value.problems[0]["code"] == reason
    assert await store.list("") == []


async def test_requests_with_one_key_never_read_two_versions(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(jsonl({"input": "old"}))
    store = Interrupted()
    service = batches(tmp_path, store=store).service
    with pytest.raises(Unavailable):  # after its items were stored
        await service.submit(TENANT, request(path.as_uri()), idempotency_key="k")
    path.write_bytes(jsonl({"input": "new"}, {"input": "more"}))
    store.is_away = False

    with pytest.raises(InvalidItems) as caught:
        await service.submit(TENANT, request(path.as_uri()), idempotency_key="k")
    assert code(caught.value) == "input_changed"
    batch = (await service.submit(TENANT, request(path.as_uri()), idempotency_key="k")).batch
    assert batch.counts.total == 2  # the key is free again


async def test_an_accepted_batch_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(jsonl({"input": "old"}))
    service = batches(tmp_path).service
    first = await service.submit(TENANT, request(path.as_uri()), idempotency_key="k")
    path.unlink()
    second = await service.submit(TENANT, request(path.as_uri()), idempotency_key="k")

    assert (second.batch.id, second.replayed) == (first.batch.id, True)


class Interrupted(MemoryStore):
    """Does not take the marker by which a batch is listed, right before its entry 0."""

    is_away = True

    async def put_new(self, key: str, data: bytes) -> bool:
        if self.is_away and "/batch-list/" in key:
            raise Unavailable("away")
        return await super().put_new(key, data)
