"""Batches and files through the client and a real server, which executes the items itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.api_server import ApiServer, api_server

from teamrun.client import (
    AsyncClient,
    Batch,
    BatchEvent,
    BatchNotFinishedError,
    BatchNotFoundError,
    Client,
    InvalidItemsError,
    UploadNotFoundError,
    WaitTimeoutError,
)

pytestmark = pytest.mark.integration

TEAM = """\
version: 1
models:
  default: {type: scripted, latency_ms: 5, script: {writer: [Done.]}}
agents:
  writer: {model: default}
teams:
  writers: {type: round_robin_group_chat, agents: [writer], max_turns: 1}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("api"), team_file=TEAM) as started:
        yield started


@pytest.fixture
def client(server: ApiServer) -> Iterator[Client]:
    with Client(server.url) as made:
        yield made


def test_a_batch_from_its_items_to_its_results(client: Client, tmp_path: Path) -> None:
    tasks = [{"custom_id": f"t{n}", "input": "Go"} for n in range(9)]
    batch = client.batches.submit("writers", [*tasks, "Go"], metadata={"a": "b"})

    states = list(client.batches.watch(batch.id, interval=0.01))
    assert states[-1].status == "completed"
    assert states[-1].counts.completed == 10
    assert client.batches.wait(batch.id) == states[-1]

    results = list(client.batches.results(batch.id))
    assert [each.custom_id for each in results] == [*(f"t{n}" for n in range(9)), "10"]
    assert {each.output.text for each in results if each.output} == {"Done."}
    assert list(client.batches.errors(batch.id)) == []
    (item,) = client.batches.items(batch.id, custom_id="t3")
    assert item.result == results[3]

    path = client.batches.download_results(batch.id, tmp_path / "results.jsonl")
    lines = path.read_bytes().splitlines()
    assert [json.loads(line)["custom_id"] for line in lines] == [r.custom_id for r in results]
    table = client.batches.download_results(batch.id, tmp_path / "results.csv")
    assert table.read_text(encoding="utf-8").splitlines()[0].startswith("custom_id,")
    assert batch.id in {each.id for each in client.batches.list()}
    messages = list(client.batches.stream(batch.id))
    events = [each for each in messages if isinstance(each, BatchEvent)]
    assert [each for each in messages if isinstance(each, Batch)][-1] == states[-1]
    assert events == list(client.batches.events(batch.id))
    assert (events[0].type, events[-1].type) == ("batch.started", "batch.completed")
    client.batches.delete(batch.id)
    with pytest.raises(BatchNotFoundError):
        client.batches.get(batch.id)


def test_many_items_travel_in_a_file_that_is_deleted_afterwards(client: Client) -> None:
    batch = client.batches.submit("writers", (f"Task {n}" for n in range(1_001)))

    assert batch.counts.total == 1_001
    assert batch.input_file_id is not None
    with pytest.raises(UploadNotFoundError):
        client.files.get(batch.input_file_id)
    assert client.batches.cancel(batch.id, reason="enough").status in ("cancelling", "cancelled")
    assert client.batches.wait(batch.id, timeout=60).status == "cancelled"
    assert client.batches.retry_failed(batch.id).round == 2
    client.batches.cancel(batch.id)


def test_a_csv_file_becomes_a_batch(client: Client, tmp_path: Path) -> None:
    source = tmp_path / "books.csv"
    source.write_text("title,body\nEmma,x\nDracula,y\n", encoding="utf-8")

    batch = client.batches.submit_file("writers", source, input_template="{title}: {body}")
    ended = client.batches.wait(batch.id, timeout=60)

    assert ended.counts.completed == 2
    inputs = [item.input for item in client.batches.items(batch.id)]
    assert inputs == ["Emma: x", "Dracula: y"]
    assert batch.input_file_id is not None
    assert client.files.read(batch.input_file_id) == source.read_bytes()
    assert client.files.download(batch.input_file_id, tmp_path).read_bytes() == source.read_bytes()
    assert client.files.get(batch.input_file_id).name == "books.csv"
    client.files.delete(batch.input_file_id)


def test_lines_that_are_invalid_are_named_and_nothing_is_left(
    client: Client, tmp_path: Path
) -> None:
    source = tmp_path / "tasks.jsonl"
    source.write_text('{"input": "Go"}\n{"imput": "Go"}\n', encoding="utf-8")

    with pytest.raises(InvalidItemsError) as raised:
        client.batches.submit_file("writers", source)

    assert [each["line"] for each in raised.value.errors] == [2]
    assert "tasks.jsonl" not in {file.name for file in client.files.list()}

    batch = client.batches.submit_file("writers", source, on_invalid="skip")
    client.batches.wait(batch.id, timeout=60)
    assert [each["line"] for each in client.batches.errors(batch.id)] == [2]


def test_a_batch_is_paused_and_resumed(client: Client) -> None:
    batch = client.batches.submit("writers", ["Go"] * 200, max_concurrency=1)

    assert client.batches.pause(batch.id).status == "paused"
    with pytest.raises(WaitTimeoutError) as raised:
        client.batches.wait(batch.id, timeout=0)
    assert (raised.value.id, raised.value.status) == (batch.id, "paused")
    with pytest.raises(BatchNotFinishedError):
        client.batches.retry_failed(batch.id)
    assert client.batches.resume(batch.id).status == "in_progress"
    client.batches.cancel(batch.id)


async def test_the_async_client_has_batches_too(server: ApiServer, tmp_path: Path) -> None:
    async with AsyncClient(server.url) as client:
        batch = await client.batches.submit("writers", ["a", "b"])
        states = [each async for each in client.batches.watch(batch.id, interval=0.01)]
        results = [each.status async for each in client.batches.results(batch.id)]
        path = await client.batches.download_results(batch.id, tmp_path / "r.jsonl")

        assert states[-1].status == "completed"
        assert results == ["completed", "completed"]
        assert len(path.read_bytes().splitlines()) == 2
