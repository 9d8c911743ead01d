"""Batches of objects in a bucket: the server reads them with the operator's key."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.api_server import ApiServer, api_server
from tests.support.batches import jsonl
from tests.support.services import azurite, moto

from teamrun.client import Client, InvalidItemsError
from teamrun.errors import NotFound, ObjectChanged, StorageError
from teamrun.storage.address import read_store_url
from teamrun.storage.base import CHUNK_BYTES
from teamrun.storage.open import open_reader, open_store
from teamrun.storage.pinned import ObjectReader

pytestmark = pytest.mark.integration

TEAM = """\
version: 1
models:
  default: {type: scripted, script: {writer: [Done.]}}
agents:
  writer: {model: default}
teams:
  writers: {type: round_robin_group_chat, agents: [writer], max_turns: 1}
"""
LONG = b"0123456789abcdef" * (CHUNK_BYTES // 8)


class Served(NamedTuple):
    """The URL of a bucket, and the credentials for it."""

    url: str
    environ: dict[str, str]


@pytest.fixture(scope="module", params=["s3", "az"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    if request.param == "s3":
        with moto() as server:
            server.make_bucket("inputs")
            yield Served(server.url("inputs"), server.environ())
    else:
        with azurite() as server:
            server.make_container("inputs")
            yield Served(server.url("inputs"), server.environ())


@pytest.fixture
def bucket(served: Served, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a bucket; the credentials are in the environment."""
    for name, value in served.environ.items():
        monkeypatch.setenv(name, value)
    return served.url


async def put(bucket: str, key: str, data: bytes) -> None:
    store = open_store(bucket)
    await store.put(key, data)
    await store.close()


def reader(bucket: str) -> ObjectReader:
    return open_reader(read_store_url(bucket))


async def test_an_object_is_read_in_chunks_as_it_was_found(bucket: str) -> None:
    await put(bucket, "tasks/ü b%2e", LONG)
    source = reader(bucket)
    found = await source.pin("tasks/ü b%2e")

    assert found.size == len(LONG)
    chunks = [chunk async for chunk in source.pinned(found)]
    assert b"".join(chunks) == LONG
    assert max(map(len, chunks)) == CHUNK_BYTES
    await source.close()


async def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed(bucket: str) -> None:
    await put(bucket, "tasks/x", LONG)
    source = reader(bucket)
    chunks = source.pinned(await source.pin("tasks/x"))
    await anext(chunks)
    await put(bucket, "tasks/x", LONG[::-1])

    with pytest.raises(ObjectChanged):
        await anext(chunks)


async def test_an_object_that_is_deleted_while_it_is_read_has_changed(bucket: str) -> None:
    await put(bucket, "tasks/x", LONG)
    source, store = reader(bucket), open_store(bucket)
    chunks = source.pinned(await source.pin("tasks/x"))
    await store.delete("tasks/x")

    with pytest.raises(ObjectChanged):
        await anext(chunks)


async def test_what_is_not_there_is_not_found(bucket: str) -> None:
    with pytest.raises(NotFound):
        await reader(bucket).pin("tasks/absent")
    with pytest.raises(StorageError):
        await reader(bucket.replace("inputs", "absent")).pin("tasks/x")


@pytest.fixture(scope="module")
def api(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("api")
    (folder / "tasks").mkdir()
    allowed = [served.url.replace("/?", "/tasks/?"), (folder / "tasks").as_uri()]
    settings = {"batch_inputs": json.dumps(allowed), "file_limit_bytes": "2048"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in served.environ.items():
            patch.setenv(name, value)
        with api_server(folder, team_file=TEAM, settings=settings) as started:
            yield started


async def test_a_batch_runs_the_items_of_an_object(
    bucket: str, api: ApiServer, tmp_path: Path
) -> None:
    name = bucket.partition("/?")[0]
    await put(bucket, "tasks/jan.csv", b"custom_id,title\na,Emma\nb,Dracula\n")
    with Client(api.url) as client:
        batch = client.batches.submit_url(
            "writers", f"{name}/tasks/jan.csv", input_template="On {title}"
        )
        ended = client.batches.wait(batch.id, timeout=60)

        assert (ended.input_url, ended.counts.completed) == (f"{name}/tasks/jan.csv", 2)
        assert [item.input for item in client.batches.items(batch.id)] == ["On Emma", "On Dracula"]


async def test_another_object_is_refused_with_the_field(bucket: str, api: ApiServer) -> None:
    name = bucket.partition("/?")[0]
    await put(bucket, "secret/x.jsonl", jsonl({"input": "a"}))
    await put(bucket, "tasks/large.jsonl", b"x" * 4096)
    refused = {
        f"{name}/secret/x.jsonl": "input_not_allowed",
        f"{name}/tasks/../secret/x.jsonl": "invalid_input_url",
        f"{name}/tasks/absent.jsonl": "input_not_found",
        f"{name}/tasks/large.jsonl": "input_too_large",
        "file:///etc/passwd": "input_not_allowed",
    }
    with Client(api.url) as client:
        for url, code in refused.items():
            with pytest.raises(InvalidItemsError) as caught:
                client.batches.submit_url("writers", url)
            assert caught.value.status == 422
            [fault] = caught.value.errors
            assert (fault["pointer"], fault["code"]) == ("/input_url", code)
