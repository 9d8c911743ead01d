"""Requests in events of version 2.0, and the answers of an application in Lambda's form."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.support.lambda_gateway import request_event

from teamrun.errors import UsageError
from teamrun_infra.aws.http_events import respond


def always(answer: Callable[[], Response]) -> ASGIApp:
    return app_of(lambda request, body: answer())


def app_of(answer: Callable[[Request, bytes], Response]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await answer(request, await request.body())(scope, receive, send)

    return app


def seen(request: Request, body: bytes) -> Response:
    """What an application sees of a request."""
    return JSONResponse(
        {
            "method": request.method,
            "path": request.scope["path"],
            "raw_path": request.scope["raw_path"].decode(),
            "query": request.scope["query_string"].decode(),
            "headers": {
                name: value
                for name, value in request.headers.items()
                if not name.startswith("x-forwarded")
            },
            "cookies": request.cookies,
            "client": request.client and request.client.host,
            "url": str(request.url),
            "body": base64.b64encode(body).decode(),
        }
    )


async def ask(app: ASGIApp, event: dict[str, Any], *, seconds: float = 20) -> Any:
    answer = await respond(app, event, seconds=seconds)
    return json.loads(json.dumps(answer))  # as Lambda passes it on


async def test_an_application_sees_the_request() -> None:
    event = request_event(
        "POST",
        "/v1/runs/a%20b?limit=3&after=x%2Fy&limit=4",
        [
            ("Host", "api.example"),
            ("Accept", "application/json"),
            ("Accept", "text/event-stream"),
            ("Cookie", "a=1; b=2"),
            ("Content-Type", "application/json"),
            ("X-Name", "zoë"),
        ],
        '{"input": "grüße"}'.encode(),
    )
    answer = await ask(app_of(seen), event)
    found = json.loads(answer["body"])
    assert found["method"] == "POST"
    assert (found["path"], found["raw_path"]) == ("/v1/runs/a b", "/v1/runs/a%20b")
    assert found["query"] == "limit=3&after=x%2Fy&limit=4"
    assert found["headers"]["accept"] == "application/json,text/event-stream"
    assert found["headers"]["host"] == "api.example"
    assert found["cookies"] == {"a": "1", "b": "2"}
    assert found["client"] == "127.0.0.1"
    assert found["url"].startswith("http://api.example/v1/runs/a")
    assert base64.b64decode(found["body"]) == '{"input": "grüße"}'.encode()


@pytest.mark.parametrize("body", [b"", b"\xff\x00\xfe", b"x" * 100_000])
async def test_a_binary_body_arrives(body: bytes) -> None:
    event = request_event("PUT", "/f", [("Content-Type", "application/octet-stream")], body)
    answer = await ask(app_of(seen), event)
    assert base64.b64decode(json.loads(answer["body"])["body"]) == body


@pytest.mark.parametrize(
    ("stage", "raw", "path"),
    [
        ("$default", "/v1/info", "/v1/info"),
        ("dev", "/dev/v1/info", "/v1/info"),
        ("dev", "/dev", "/"),
        ("dev", "/device", "/device"),
        ("dev", "/v1/info", "/v1/info"),
        ("$default", "", "/"),
        (None, "/v1/info", "/v1/info"),
        ("v1", "/v1/info", "/v1/info"),
        ("v1", "/v1/v1/info", "/v1/info"),
        ("v1", "/v1", "/v1"),
    ],
)
async def test_the_name_of_a_stage_is_not_a_part_of_the_path(
    stage: str | None, raw: str, path: str
) -> None:
    event = request_event("GET", "/", [], b"")
    event["rawPath"] = raw
    event["requestContext"]["stage"] = stage
    answer = await ask(app_of(seen), event)
    assert json.loads(answer["body"])["path"] == path


async def test_a_default_endpoint_always_has_the_stage_in_the_path() -> None:
    host = [("Host", "a1b2c3.execute-api.eu-central-1.amazonaws.com")]
    event = request_event("GET", "/healthz", host, b"", stage="v1")
    answer = await ask(app_of(seen), event)
    assert json.loads(answer["body"])["path"] == "/healthz"


@pytest.mark.parametrize(
    ("change", "mentions"),
    [
        ({"body": "é!!=x", "isBase64Encoded": True}, "base64"),
        ({"body": "abc", "isBase64Encoded": True}, "base64"),
        ({"body": "a\ud800"}, "`body`"),
        ({"body": {}}, "`body`"),
        ({"headers": {"x": None}}, "`headers`"),
        ({"headers": {"x": "\ud800"}}, "`headers`"),
        ({"headers": {"\ud800": "x"}}, "`headers`"),
        ({"headers": []}, "`headers`"),
        ({"cookies": [None]}, "`cookies`"),
        ({"rawPath": "/\ud800"}, "`rawPath`"),
        ({"rawQueryString": 1}, "`rawQueryString`"),
        ({"requestContext": {"http": {}}}, "`requestContext`"),
        ({"requestContext": {"http": None}}, "`requestContext`"),
    ],
)
async def test_a_request_that_cannot_be_read_is_a_problem(
    change: dict[str, Any], mentions: str
) -> None:
    event = {**request_event("POST", "/v1/runs", [], b"{}"), **change}
    answer = await ask(app_of(seen), event)
    assert answer["statusCode"] == 400
    found = json.loads(answer["body"])
    assert found["code"] == "invalid_request"
    assert mentions in found["detail"]


@pytest.mark.parametrize("name", ["headers", "cookies", "body", "rawQueryString", "rawPath"])
async def test_a_request_need_not_have_everything(name: str) -> None:
    event = request_event("GET", "/", [("Cookie", "a=1")], b"")
    for change in ({**event, name: None}, {k: v for k, v in event.items() if k != name}):
        assert (await ask(app_of(seen), change))["statusCode"] == 200


async def test_headers_and_cookies_of_an_answer() -> None:
    def answer(request: Request, body: bytes) -> Response:
        response = Response("ok", 201, {"X-One": "1", "Vary": "Accept"}, "text/plain")
        response.headers.append("Vary", "Origin")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    found = await ask(app_of(answer), request_event("GET", "/", [], b""))
    assert (found["statusCode"], found["body"], found["isBase64Encoded"]) == (201, "ok", False)
    assert found["headers"]["vary"] == "Accept, Origin"
    assert found["headers"]["x-one"] == "1"
    assert "set-cookie" not in found["headers"]
    assert [cookie.partition(";")[0] for cookie in found["cookies"]] == ["a=1", "b=2"]


@pytest.mark.parametrize(
    ("body", "kind", "headers", "is_base64"),
    [
        (b'{"a": 1}', "application/json", {}, False),
        (b"{}", "application/problem+json; charset=utf-8", {}, False),
        ("data: é\n\n".encode(), "text/event-stream", {}, False),
        (b'{"a": 1}\n', "application/x-ndjson", {}, False),
        (b"", "application/octet-stream", {}, False),
        (b"text", "application/octet-stream", {}, True),
        (b"\xff\xfe", "text/plain", {}, True),
        (b"{}", "application/json", {"content-encoding": "gzip"}, True),
        (b"x" * 1_100_000, "text/plain", {}, True),
    ],
)
async def test_a_body_is_text_or_base64(
    body: bytes, kind: str, headers: dict[str, str], is_base64: bool
) -> None:
    answer = await ask(
        always(lambda: Response(body, headers=headers, media_type=kind)),
        request_event("GET", "/", [], b""),
    )
    assert answer["isBase64Encoded"] is is_base64
    sent = base64.b64decode(answer["body"]) if is_base64 else answer["body"].encode()
    assert sent == body


async def test_an_answer_in_pieces_is_joined() -> None:
    app = always(lambda: StreamingResponse(iter(["a", "b", "c"]), media_type="text/plain"))
    assert (await ask(app, request_event("GET", "/", [], b"")))["body"] == "abc"


async def test_an_answer_that_lambda_cannot_send_is_a_problem() -> None:
    app = always(lambda: Response(b"x" * 5_000_000, media_type="application/x-ndjson"))
    answer = await ask(app, request_event("GET", "/", [], b""))
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["code"] == "response_too_large"


async def test_a_request_that_takes_too_long_is_cancelled_and_answered() -> None:
    left: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        left.append((await receive())["type"])
        try:
            await asyncio.Event().wait()
        finally:
            left.append("cancelled")

    answer = await ask(app, request_event("GET", "/", [], b""), seconds=1.05)
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "1")
    assert json.loads(answer["body"])["code"] == "unavailable"
    assert left == ["http.disconnect", "cancelled"]


async def test_what_an_application_does_when_its_time_is_over_is_not_the_answer() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()
        raise RuntimeError("the client has left")

    answer = await ask(app, request_event("GET", "/", [], b""), seconds=1.0)
    assert answer["statusCode"] == 503


async def test_an_exception_of_the_application_fails_the_invocation() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        await ask(app, request_event("GET", "/", [], b""))


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"version": "1.0", "requestContext": {"http": {}}},
        {"version": "2.0"},
        {"version": "2.0", "requestContext": None},
        {"Records": []},
        [],
        None,
        "text",
    ],
)
async def test_another_event_is_refused(event: object) -> None:
    with pytest.raises(UsageError, match="payload format"):
        await respond(app_of(seen), event, seconds=10)
