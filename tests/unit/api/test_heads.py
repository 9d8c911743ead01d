"""Requests that can be read in two ways, answers under a proxy's path, and the log of requests."""

import json
import logging
from typing import Any, cast

import pytest
from tests.support.api import Exchange, serve, world

from teamrun_api.app import described

SUBMIT = b'{"team": "writers", "input": "Go"}'
JSON = {"Content-Type": "application/json"}

SINGLE = [
    "Authorization",
    "Content-Type",
    "Host",
    "Idempotency-Key",
    "Last-Event-ID",
    "Origin",
]


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
def test_a_request_with_two_lengths_is_refused_and_its_connection_closed(method: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            headers = {**JSON, "Content-Length": "4", "Transfer-Encoding": "chunked"}
            exchange = Exchange(w.app, "/v1/runs", method=method, headers=headers, body=SUBMIT)
            assert await exchange.start() == 400
            assert exchange.headers["connection"] == "close"
            assert json.loads(await exchange.rest())["code"] == "ambiguous_length"
            assert not w.mailbox.refs

    serve(scenario())


@pytest.mark.parametrize("name", SINGLE)
def test_a_header_with_one_value_cannot_be_sent_twice(name: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            exchange = Exchange(w.app, "/v1/runs", method="POST", headers=JSON, body=SUBMIT)
            exchange.scope["headers"] += [(name.lower().encode(), b"127.0.0.1")] * 2
            assert await exchange.start() == 400
            (fault,) = json.loads(await exchange.rest())["errors"]
            assert (fault["header"], fault["code"]) == (name, "repeated_header")
            assert not w.mailbox.refs

    serve(scenario())


@pytest.mark.parametrize(
    ("name", "values", "status"),
    [
        ("if-none-match", (b'"other"', b'"r1"'), 304),
        ("accept", (b"text/html;q=0", b"application/json"), 200),
        ("prefer", (b"respond-async", b"wait=0"), 200),
    ],
)
def test_a_list_may_be_sent_in_several_lines(
    name: str, values: tuple[bytes, ...], status: int
) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            exchange = Exchange(w.app, f"/v1/runs/{run_id}")
            exchange.scope["headers"] += [(name.encode(), value) for value in values]
            assert await exchange.start() == status
            assert name != "prefer" or exchange.headers["preference-applied"] == "wait=0"
            await exchange.rest()

    serve(scenario())


@pytest.mark.parametrize(
    "query",
    ["limit=1&limit=2", "status=failed&status=running", "metadata[a]=1&metadata[a]=2", "tag=&tag="],
)
def test_a_query_parameter_cannot_be_given_twice(query: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.get(f"/v1/runs?{query}")
            (fault,) = answer.json()["errors"]
            assert (answer.status_code, fault["code"]) == (400, "repeated_parameter")
            assert fault["parameter"] == query.partition("=")[0]

    serve(scenario())


def _urls_of(answer: Any) -> list[str]:
    """Every URL of the API in a JSON document."""
    match answer:
        case dict():
            members = cast("dict[str, Any]", answer).values()
            return [url for value in members for url in _urls_of(value)]
        case list():
            return [url for value in cast("list[Any]", answer) for url in _urls_of(value)]
        case str() if "/v1/runs/" in answer:
            return [answer]
        case _:
            return []


@pytest.mark.parametrize("prefix", ["", "/teamrun", "/a/b"])
@pytest.mark.parametrize("sends_prefix", [True, False])
def test_behind_a_proxy_every_url_begins_with_its_path(prefix: str, sends_prefix: bool) -> None:
    async def scenario() -> None:
        async with world(root_path=prefix) as w:
            base = prefix if sends_prefix else ""
            submitted = await w.client.post(
                f"{base}/v1/runs", json={"team": "writers", "input": "Go"}
            )
            location = submitted.headers["location"]
            await w.execute()
            run = base + location.removeprefix(prefix)
            answers = [submitted.json()]
            paths = (run, f"{base}/v1/runs", f"{run}/artifacts")
            answers += [(await w.client.get(path)).json() for path in paths]
            for verb in ("retry", "fork"):
                body = {"after_seq": 2} if verb == "fork" else {}
                child = await w.client.post(f"{run}/{verb}", json=body)
                answers += [child.json(), child.headers["location"]]
            assert location.startswith(f"{prefix}/v1/runs/run_")
            for answer in answers:
                urls = _urls_of(answer)
                assert urls
                assert all(url.startswith(f"{prefix}/v1/runs/") for url in urls), urls
            assert (await w.client.get(f"{base}/v1/nothing")).status_code == 404
            options = await w.client.options(f"{base}/v1/runs")
            assert "POST" in options.headers["allow"]
            document = (await w.client.get(f"{base}/openapi.json")).json()
            assert document["servers"] == [{"url": prefix or "/"}]
            assert document["paths"] == described()["paths"]

    serve(scenario())


def _logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    return [
        (record.levelname, vars(record))
        for record in caplog.records
        if vars(record).get("action") == "request.answered"
    ]


def test_each_request_is_logged_once_with_its_id_and_probes_at_debug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with world() as w:
            for path in (
                "/v1/runs?metadata[secret]=42",
                "/v1/runs/run_none",
                "/healthz",
                "/no%0Aline",
            ):
                await w.client.get(path, headers={"X-Request-Id": f"id:{path[:3]}"})

    with caplog.at_level(logging.DEBUG, "teamrun_api"):
        serve(scenario())
    found = [
        (level, data["request_id"], data["method"], data["path"], data["status"])
        for level, data in _logged(caplog)
    ]
    assert found == [
        ("INFO", "id:/v1", "GET", "/v1/runs", 200),
        ("INFO", "id:/v1", "GET", "/v1/runs/run_none", 404),
        ("DEBUG", "id:/he", "GET", "/healthz", 200),
        ("INFO", "id:/no", "GET", "/no%0Aline", 404),
    ]
    assert "secret" not in caplog.text
