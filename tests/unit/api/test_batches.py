"""Batches and files over HTTP."""

import csv
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx2
import pytest
from tests.support.api import team_service
from tests.support.batches import Batches, jsonl
from tests.support.webhooks import URL, webhook_service

from teamrun_api.app import create_app
from teamrun_api.settings import ApiSettings


class Api:
    """An API over batches in process."""

    def __init__(self, batches: Batches, **settings: Any) -> None:
        self.batches = batches
        app = create_app(
            service=batches.cluster.service,
            batches=batches.service,
            webhooks=webhook_service(batches.cluster.store),
            teams=team_service(
                batches.cluster.service, batches.cluster.registry, batches.cluster.store
            ),
            threads=batches.cluster.threads,
            settings=ApiSettings(**settings),
            checks={},
        )
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    async def ended(self, **body: Any) -> str:
        """The id of a batch that has ended."""
        response = await self.client.post("/v1/batches", json={"team": "team", **body})
        assert response.status_code == 202, response.text
        batch_id = response.json()["id"]
        await self.finish(batch_id)
        return batch_id

    async def finish(self, batch_id: str) -> None:
        await self.batches.finish(await self.batches.service.get("default", batch_id))


@pytest.fixture
async def api(clusters_are_closed: None) -> AsyncGenerator[Api]:
    made = Api(Batches())
    async with made.client:
        yield made


ITEMS = [{"custom_id": name, "input": "go"} for name in ("a", "b", "c")]


async def test_a_batch_is_accepted_read_and_listed(api: Api) -> None:
    accepted = await api.client.post("/v1/batches", json={"team": "team", "items": ITEMS})
    batch = accepted.json()

    read = await api.client.get(accepted.headers["location"])
    listed = await api.client.get("/v1/batches")

    assert accepted.status_code == 202
    assert (batch["object"], batch["status"], batch["counts"]["queued"]) == (
        "batch",
        "in_progress",
        3,
    )
    assert read.json()["id"] == batch["id"]
    assert read.headers["etag"] == f'"r{batch["revision"]}"'
    assert [each["id"] for each in listed.json()["data"]] == [batch["id"]]


async def test_a_thousand_items_with_metadata_fit_into_a_request(api: Api) -> None:
    pairs = {f"k{n}": "v" for n in range(16)}
    items = [{"input": "go", "metadata": pairs} for _ in range(1_000)]

    accepted = await api.client.post("/v1/batches", json={"team": "team", "items": items})
    refused = await api.client.post(
        "/v1/batches", json={"team": "team", "items": [*items, items[0]]}
    )

    assert accepted.status_code == 202
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/items")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"team": "team"}, ""),
        ({"items": ITEMS}, ""),
        ({"team": "team", "items": ITEMS, "input_file_id": "file_1"}, ""),
        ({"team": "team", "items": ITEMS, "input_template": "{a}"}, ""),
        ({"team": "team", "items": []}, "/items"),
        ({"team": "team", "items": [{"custom_id": "a"}]}, "/items/0/input"),
        ({"team": "team", "items": ITEMS, "max_concurrency": 0}, "/max_concurrency"),
        ({"team": "team", "items": ITEMS, "limits": {"max_turns": 1}}, "/limits/max_turns"),
        ({"team": "none", "items": ITEMS}, "/team"),
        (
            {"team": "team", "items": ITEMS, "webhook": {"url": URL, "events": ["run.completed"]}},
            "/webhook/events/0",
        ),
    ],
)
async def test_a_faulty_request_is_refused_with_its_place(
    api: Api, body: dict[str, Any], pointer: str
) -> None:
    response = await api.client.post("/v1/batches", json=body)

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer


async def test_a_repeated_submit_is_answered_with_the_same_batch(api: Api) -> None:
    body, headers = {"team": "team", "items": ITEMS}, {"Idempotency-Key": "k"}
    first = await api.client.post("/v1/batches", json=body, headers=headers)
    again = await api.client.post("/v1/batches", json=body, headers=headers)
    other = await api.client.post("/v1/batches", json=body | {"tags": ["x"]}, headers=headers)

    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")


async def test_an_empty_file_is_refused_and_leaves_nothing(api: Api) -> None:
    uploaded = await api.client.post("/v1/files?name=tasks.jsonl")
    files = await api.client.get("/v1/files")

    assert (uploaded.status_code, uploaded.json()["code"]) == (422, "invalid_items")
    assert files.json()["data"] == []


async def test_an_upload_is_repeated_with_its_key(api: Api) -> None:
    key = {"Idempotency-Key": "k1"}
    first, same, other, invalid = [
        await api.client.post("/v1/files?name=a.jsonl", content=content, headers=headers)
        for content, headers in [
            (b"1", key),
            (b"1", key),
            (b"2", key),
            (b"1", {"Idempotency-Key": ""}),
        ]
    ]

    assert (first.status_code, same.status_code) == (201, 201)
    assert same.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert same.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    assert (invalid.status_code, invalid.json()["code"]) == (400, "invalid_idempotency_key")


async def test_a_file_larger_than_other_bodies_is_uploaded_and_run(api: Api) -> None:
    data = jsonl(*({"custom_id": str(n), "input": "x" * 1_000} for n in range(2_000)))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 100_000):
            yield data[start : start + 100_000]

    uploaded = await api.client.post("/v1/files?name=tasks.jsonl", content=pieces())
    file = uploaded.json()
    whole = await api.client.get(f"/v1/files/{file['id']}/content")
    rest = await api.client.get(
        f"/v1/files/{file['id']}/content", headers={"Range": "bytes=1000000-"}
    )
    batch = await api.client.post("/v1/batches", json={"team": "team", "input_file_id": file["id"]})

    assert (uploaded.status_code, file["size"], file["name"]) == (201, len(data), "tasks.jsonl")
    assert whole.content == data
    assert (rest.status_code, rest.content) == (206, data[1_000_000:])
    assert rest.headers["content-range"] == f"bytes 1000000-{len(data) - 1}/{len(data)}"
    assert batch.json()["counts"]["total"] == 2_000


async def test_a_file_is_described_listed_and_deleted(api: Api) -> None:
    file_id = (await api.client.post("/v1/files", content=b"x")).json()["id"]

    listed = (await api.client.get("/v1/files")).json()["data"]
    deleted = await api.client.delete(f"/v1/files/{file_id}")
    gone = await api.client.get(f"/v1/files/{file_id}/content")

    assert [file["id"] for file in listed] == [file_id]
    assert deleted.status_code == 204
    assert (gone.status_code, gone.json()["code"]) == (404, "file_not_found")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415, "unsupported_media_type"),
        ({"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 201, None),
    ],
)
async def test_uploads_by_their_headers(
    api: Api, headers: dict[str, str], status: int, code: str | None
) -> None:
    response = await api.client.post("/v1/files", content=b"x", headers=headers)

    assert (response.status_code, response.json().get("code")) == (status, code)


async def test_a_file_beyond_the_limit_is_refused(clusters_are_closed: None) -> None:
    api = Api(Batches(), file_limit_bytes=2_000)

    response = await api.client.post("/v1/files", content=b"x" * 2_001)

    assert (response.status_code, response.json()["code"]) == (413, "file_too_large")


async def test_invalid_lines_are_named(api: Api) -> None:
    data = jsonl({"input": "x"}, "nope", {"input": 1})
    file_id = (await api.client.post("/v1/files", content=data)).json()["id"]

    response = await api.client.post("/v1/batches", json={"team": "team", "input_file_id": file_id})

    assert (response.status_code, response.json()["code"]) == (422, "invalid_items")
    errors = response.json()["errors"]
    assert [(error["line"], error["code"]) for error in errors] == [
        (2, "invalid_json"),
        (3, "invalid_item"),
    ]


async def test_results_are_lines_or_a_table(api: Api) -> None:
    batch_id = await api.ended(items=ITEMS)
    url = f"/v1/batches/{batch_id}/results"

    lines = await api.client.get(url)
    table = await api.client.get(url, headers={"Accept": "text/csv"})
    refused = await api.client.get(url, headers={"Accept": "image/png"})

    assert [json.loads(line)["custom_id"] for line in lines.text.splitlines()] == ["a", "b", "c"]
    assert int(lines.headers["content-length"]) == len(lines.content)
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["custom_id"], row["status"], row["output"]) for row in rows] == [
        (name, "completed", "DONE") for name in "abc"
    ]
    assert refused.status_code == 406


async def test_a_download_of_results_is_resumed(api: Api) -> None:
    batch_id = await api.ended(items=[{"input": "go"}] * 250)
    url = f"/v1/batches/{batch_id}/results"
    whole = await api.client.get(url)

    for start in (1, 20_000, len(whole.content) - 1):
        rest = await api.client.get(
            url, headers={"Range": f"bytes={start}-", "If-Range": whole.headers["etag"]}
        )
        assert (rest.status_code, rest.content) == (206, whole.content[start:])
    changed = await api.client.get(url, headers={"Range": "bytes=5-", "If-Range": '"old"'})
    beyond = await api.client.get(url, headers={"Range": "bytes=99999999-"})

    assert (changed.status_code, changed.content) == (200, whole.content)
    size = len(whole.content)
    assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{size}"


async def test_errors_have_the_skipped_lines(api: Api) -> None:
    data = jsonl({"input": "x"}, "nope")
    file_id = (await api.client.post("/v1/files", content=data)).json()["id"]
    batch_id = await api.ended(input_file_id=file_id, on_invalid="skip")

    response = await api.client.get(f"/v1/batches/{batch_id}/errors")

    assert [json.loads(line)["line"] for line in response.text.splitlines()] == [2]


async def test_items_are_filtered(api: Api) -> None:
    batch_id = await api.ended(items=ITEMS)
    url = f"/v1/batches/{batch_id}/items"

    named = (await api.client.get(url, params={"custom_id": "b"})).json()["data"]
    none = (await api.client.get(url, params={"status": "failed"})).json()["data"]
    wrong = await api.client.get(url, params={"after": "x"})
    run = await api.client.get(f"/v1/runs/{named[0]['run_id']}")

    assert [(item["custom_id"], item["status"]) for item in named] == [("b", "completed")]
    assert none == []
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_parameter")
    assert run.json()["status"] == "completed"


async def test_a_batch_is_polled_by_its_tag(api: Api) -> None:
    batch_id = await api.ended(items=ITEMS)
    url = f"/v1/batches/{batch_id}"
    tag = (await api.client.get(url)).headers["etag"]

    same = await api.client.get(url, headers={"If-None-Match": tag})
    waited = await api.client.get(url, params={"wait": 5})

    assert same.status_code == 304
    assert waited.json()["status"] == "completed"


async def test_a_batch_is_paused_resumed_cancelled_and_retried(api: Api) -> None:
    batch_id = (await api.client.post("/v1/batches", json={"team": "team", "items": ITEMS})).json()[
        "id"
    ]
    url = f"/v1/batches/{batch_id}"

    answers = [
        await api.client.post(f"{url}/{verb}") for verb in ("pause", "resume", "retry-failed")
    ]
    cancelled = await api.client.post(f"{url}/cancel", json={"reason": "enough"})
    await api.finish(batch_id)
    late = await api.client.post(f"{url}/pause")
    retried = await api.client.post(f"{url}/retry-failed")

    assert [answer.status_code for answer in answers] == [202, 202, 409]
    assert [answer.json().get("status") for answer in answers[:2]] == ["paused", "in_progress"]
    assert (cancelled.json()["status"], cancelled.json()["stop_reason"]) == ("cancelling", "enough")
    assert (late.status_code, late.json()["code"]) == (409, "batch_ended")
    assert late.json()["batch_id"] == batch_id
    assert (retried.json()["round"], retried.json()["counts"]["queued"]) == (2, 3)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/items"),
        ("GET", "/results"),
        ("GET", "/errors"),
        ("GET", "/events"),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/retry-failed"),
    ],
)
@pytest.mark.parametrize("batch_id", ["bat_none", "..", "a.b"])
async def test_a_batch_that_does_not_exist_is_404(
    api: Api, method: str, path: str, batch_id: str
) -> None:
    response = await api.client.request(method, f"/v1/batches/{batch_id}{path}")

    assert response.status_code == 404


async def test_events_are_pages_and_resume_after_any(api: Api) -> None:
    batch_id = await api.ended(items=[{"input": "go"}] * 5, max_concurrency=1)
    url = f"/v1/batches/{batch_id}/events"

    events = (await api.client.get(url)).json()["data"]
    page = (await api.client.get(url, params={"limit": 1, "after": 1})).json()
    wrong = await api.client.get(url, params={"after": "bat_other-1"})

    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    types = [event["type"] for event in events]
    assert (types[0], types[-1]) == ("batch.started", "batch.completed")
    assert set(types[1:-1]) == {"batch.progressed"}
    assert events[-1]["data"]["completed"] == 5
    assert (page["data"], page["next_cursor"]) == ([events[1]], events[1]["id"])
    assert (wrong.status_code, wrong.json()["errors"][0]["parameter"]) == (400, "after")


async def test_a_stream_has_events_counts_and_an_end(api: Api) -> None:
    batch_id = await api.ended(items=ITEMS)
    url, accept = f"/v1/batches/{batch_id}/events", {"Accept": "text/event-stream"}

    stream = await api.client.get(url, headers=accept)
    frames = [dict(line.split(": ", 1) for line in f.split("\n")) for f in _frames(stream.text)]
    last = frames[-1]["id"]
    resumed = await api.client.get(url, headers={**accept, "Last-Event-ID": last})
    rest = await api.client.get(url, headers={**accept, "Last-Event-ID": f"{batch_id}-1"})

    kinds = [frame["event"] for frame in frames if "event" in frame]
    assert (kinds[0], kinds[-3:]) == ("batch.started", ["batch.completed", "batch", "end"])
    assert json.loads(frames[-2]["data"])["counts"]["completed"] == 3
    assert json.loads(frames[-1]["data"]) == {"batch_id": batch_id, "status": "completed"}
    assert resumed.status_code == 204
    assert "batch.started" not in rest.text and "batch.completed" in rest.text


def _frames(text: str) -> list[str]:
    return [frame for frame in text.split("\n\n") if frame]


async def test_a_deleted_batch_is_gone(api: Api) -> None:
    batch_id = await api.ended(items=ITEMS)

    deleted = await api.client.delete(f"/v1/batches/{batch_id}")
    gone = await api.client.get(f"/v1/batches/{batch_id}")

    assert (deleted.status_code, gone.status_code) == (204, 404)


async def test_a_retry_over_a_reached_limit_is_refused_until_it_is_raised() -> None:
    script = {"content": "DONE", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
    api = Api(Batches({"a": [script]}))
    async with api.client:
        limited = {"max_concurrency": 1, "limits": {"max_tokens": 15}}
        batch_id = await api.ended(items=ITEMS, **limited)
        url = f"/v1/batches/{batch_id}/retry-failed"

        refused = await api.client.post(url)
        taken = await api.client.post(url, json={"limits": {"max_tokens": 99}})
        await api.finish(batch_id)
        ended = (await api.client.get(f"/v1/batches/{batch_id}")).json()

    assert (refused.status_code, refused.json()["code"]) == (422, "limit_reached")
    assert refused.json()["errors"][0]["pointer"] == "/limits/max_tokens"
    assert (taken.status_code, taken.json()["limits"]["max_tokens"]) == (202, 99)
    assert (ended["status"], ended["counts"]["completed"]) == ("completed", 3)


async def test_an_unknown_status_of_items_is_one_fault_with_all_of_them(api: Api) -> None:
    batch_id = await api.ended(items=ITEMS)

    answer = await api.client.get(f"/v1/batches/{batch_id}/items?status=foo")

    assert answer.status_code == 400
    [fault] = answer.json()["errors"]
    assert fault["parameter"] == "status"
    assert all(name in fault["detail"] for name in ("queued", "running", "completed", "expired"))
