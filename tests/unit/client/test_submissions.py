"""Batches from any iterable: few items in one request, many in a file, and the event loop free."""

import asyncio
import json
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.scripted_api import CUT, Given, scripted_api
from tests.unit.client.both import AT_ONCE, Way, with_both_clients

from teamrun.client import AsyncClient, Client, UsageError
from teamrun.client.calls import batch_journeys
from teamrun.client.requests import Blocking, Journey

ROOT = Path(__file__).parents[3]
EXAMPLES: dict[str, Any] = json.loads(
    (ROOT / "docs/reference/openapi.json").read_text(encoding="utf-8")
)["components"]["examples"]
BATCH = Given(202, json.dumps(EXAMPLES["BatchRunning"]["value"]).encode())
FILE = Given(201, json.dumps(EXAMPLES["File.uploaded"]["value"]).encode())
LARGE = "x" * 300_000
"""An item that does not fit into the body of a request."""


@with_both_clients
@pytest.mark.parametrize("count", [0, 1, 1_000])
def test_few_items_are_sent_in_one_request(send: Way, count: int) -> None:
    tasks = [f"Task {n}" for n in range(count)]
    with scripted_api(BATCH) as api:
        send(api.url, batch_journeys.submit("t", iter(tasks)))

    (request,) = api.asked
    assert json.loads(request.body) == {"team": "t", "items": [{"input": each} for each in tasks]}


@with_both_clients
@pytest.mark.parametrize(
    "tasks",
    [[str(n) for n in range(1_001)], [LARGE], ["a", LARGE, "b"], ["x" * 1_000] * 3_000],
    ids=["one more", "one large", "a large one", "many"],
)
def test_other_items_are_sent_in_a_file_as_often_as_it_takes(send: Way, tasks: list[str]) -> None:
    with scripted_api(CUT, FILE, BATCH, Given(204)) as api:
        send(api.url, batch_journeys.submit("t", iter(tasks)))

    lost, upload, submit, delete = api.asked
    assert lost.body == upload.body
    lines = upload.body.splitlines()
    assert [json.loads(line) for line in lines] == [{"input": each} for each in tasks]
    file_id = EXAMPLES["File.uploaded"]["value"]["id"]
    assert json.loads(submit.body) == {"team": "t", "input_file_id": file_id}
    assert (delete.method, delete.path) == ("DELETE", f"/v1/files/{file_id}")


def test_the_event_loop_goes_on_while_items_are_read() -> None:
    async def scenario(url: str) -> list[int]:
        turns, seen = 0, list[int]()

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        def tasks() -> Iterator[str]:
            for number in range(6_000):
                seen.append(turns)
                yield f"Task {number}"

        ticking = asyncio.create_task(others())
        async with AsyncClient(url, retries=AT_ONCE) as client:
            await client.batches.submit("t", tasks())
        ticking.cancel()
        return seen

    with scripted_api(FILE, BATCH, Given(204)) as api:
        seen = asyncio.run(scenario(api.url))
    assert len(set(seen)) >= 5  # 1,000 items at most are read in a turn


def test_only_the_event_loop_leaves_work_to_a_thread() -> None:
    async def scenario() -> int:
        async with AsyncClient("http://127.0.0.1:9") as client:
            return await client.send(work())

    def work() -> Journey[int]:
        return (yield Blocking(threading.get_ident))

    with Client("http://127.0.0.1:9") as client:
        assert client.send(work()) == threading.get_ident()
    assert asyncio.run(scenario()) != threading.get_ident()


def test_items_do_not_pile_up_in_memory() -> None:
    tasks = (f"{number} " + "x" * 1_000 for number in range(30_000))
    journey = batch_journeys.submit("t", tasks)
    tracemalloc.start()
    try:
        while isinstance(step := next(journey), Blocking):
            step.work()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        journey.close()

    assert peak < 5_000_000  # of 30 MB


@with_both_clients
def test_an_item_that_cannot_be_sent_sends_nothing(send: Way) -> None:
    tasks = ["a"] * 2_000 + [{"input": float("nan")}]
    with scripted_api() as api, pytest.raises(UsageError):
        send(api.url, batch_journeys.submit("t", tasks))

    assert api.asked == []


def test_a_file_is_not_left_when_an_iterable_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def tasks() -> Iterator[str]:
        yield from ["a"] * 3_000
        assert list(tmp_path.iterdir()) != []
        raise LookupError

    with scripted_api() as api, Client(api.url) as client, pytest.raises(LookupError):
        client.batches.submit("t", tasks())

    assert list(tmp_path.iterdir()) == []
