"""Requests to an ASGI application from events of an HTTP API or a function URL.

Both use version 2.0 of the format.
Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Final, cast
from urllib.parse import quote, unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from starlette.types import ASGIApp, Message, Scope

from teamrun.errors import TeamrunError, Unavailable, UsageError
from teamrun.json_types import JsonObject
from teamrun_api.context import DEADLINE
from teamrun_api.faults import InvalidRequest, ResponseTooLarge
from teamrun_api.problems import problem_response

__all__ = ["respond"]

_MOST_BYTES: Final = (6 * 1024 * 1024 - 64 * 1024) * 3 // 4
"""The largest body that fits into a response of Lambda, in base64.
Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
_MOST_TEXT: Final = 1024 * 1024
"""A longer text is sent in base64, too: as a JSON string it might become twice as long."""
_ANSWER_BEFORE_S: Final = 1.0
"""A request is answered so long before Lambda ends the invocation."""
_LEAVE_S: Final = 0.25
_VERSION: Final = "v1"
"""The first segment of the API's paths."""
_UNREAD: Final[Scope] = {"type": "http"}
"""The scope of a request that cannot be read."""


def _encodable(text: str) -> str:
    text.encode("utf-8")  # JSON may have half of a surrogate pair
    return text


_Text = Annotated[str, AfterValidator(_encodable)]


class _Fields(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, strict=True)


class _Http(_Fields):
    method: _Text
    source_ip: _Text = ""


class _Context(_Fields):
    http: _Http
    stage: _Text | None = None
    domain_name: _Text | None = None


class _Event(_Fields):
    """What is used of an event."""

    request_context: _Context
    raw_path: _Text | None = None
    raw_query_string: _Text | None = None
    headers: dict[_Text, _Text] | None = None
    cookies: list[_Text] | None = None
    body: _Text | None = None
    is_base64_encoded: bool | None = None


async def respond(app: ASGIApp, event: object, *, seconds: float) -> JsonObject:
    """The answer of an application to the request in an event; 400 if it cannot be read.

    Args:
        app: The application. Its lifespan is not used.
        event: The event.
        seconds: The time before Lambda ends the invocation. A request that takes as long is
            cancelled, and answered with 503.

    Raises:
        UsageError: The event is not one of an HTTP API or a function URL.
    """
    if not _is_request(event):
        raise UsageError(
            "The event is not a request: connect the function to an HTTP API with payload format "
            "2.0, or to a function URL."
        )
    try:
        scope, body = _request(_Event.model_validate(event))
    except ValidationError as error:
        field = error.errors(include_input=False)[0]["loc"][0]
        return await _problem(_UNREAD, InvalidRequest(f"`{field}` of the request is not valid."))
    except binascii.Error:
        return await _problem(_UNREAD, InvalidRequest("The body is not valid base64."))
    scope[DEADLINE] = asyncio.get_running_loop().time() + seconds
    exchange = _Exchange(body)
    serving = asyncio.ensure_future(app(scope, exchange.receive, exchange.send))
    if not await _ends(serving, max(seconds - _ANSWER_BEFORE_S, 0)):
        exchange.has_left.set()
        if not await _ends(serving, _LEAVE_S):
            serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return await _problem(scope, Unavailable("The request took too long; send it again."))
    serving.result()
    if len(exchange.body) > _MOST_BYTES:
        error = ResponseTooLarge(
            f"The response has more than {_MOST_BYTES} bytes, which a function cannot send; ask "
            "for a part of it, with `limit` or `Range`."
        )
        return await _problem(scope, error)
    return exchange.answer()


async def _ends(task: "asyncio.Future[None]", within_s: float) -> bool:
    return bool((await asyncio.wait([task], timeout=within_s))[0])


async def _problem(scope: Scope, error: TeamrunError) -> JsonObject:
    exchange = _Exchange(b"")
    await problem_response(error, scope)(scope, exchange.receive, exchange.send)
    return exchange.answer()


def _is_request(event: object) -> bool:
    if not isinstance(event, dict):
        return False
    given = cast("dict[str, Any]", event)
    context = given.get("requestContext")
    return given.get("version") == "2.0" and isinstance(context, dict) and "http" in context


def _path(event: _Event) -> str:
    """The path without the stage.

    The default endpoint has it before each path, and a custom domain may have it. So a stage named
    like the first segment of the API is not taken for this segment.
    """
    path = unquote(event.raw_path or "/")
    context = event.request_context
    stage = context.stage or "$default"
    if stage == "$default" or not f"{path}/".startswith(f"/{stage}/"):
        return path
    rest = path.removeprefix(f"/{stage}") or "/"
    is_default = ".execute-api." in (context.domain_name or "")
    if stage == _VERSION and not is_default and not rest.startswith(f"/{_VERSION}/"):
        return path
    return rest


def _request(event: _Event) -> tuple[Scope, bytes]:
    path, http = _path(event), event.request_context.http
    headers = {name.lower(): value for name, value in (event.headers or {}).items()}
    if event.cookies:
        headers["cookie"] = "; ".join(event.cookies)
    body = event.body or ""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": http.method,
        "scheme": headers.get("x-forwarded-proto", "https"),
        "path": path,
        "raw_path": quote(path).encode("ascii"),
        "query_string": (event.raw_query_string or "").encode("latin-1", "replace"),
        "root_path": "",
        "headers": [(name.encode(), value.encode("utf-8")) for name, value in headers.items()],
        "client": (http.source_ip, 0),
        "server": (headers.get("host", ""), 443),
        "state": {},
    }
    content = body.encode("utf-8")
    return scope, base64.b64decode(content, validate=True) if event.is_base64_encoded else content


class _Exchange:
    """One request and its answer."""

    def __init__(self, body: bytes) -> None:
        self._request: bytes | None = body
        self.has_left = asyncio.Event()
        self.body = bytearray()
        self._status = 500
        self._headers: list[tuple[str, str]] = []

    async def receive(self) -> Message:
        """The request; then, if the time is over, that the client has left."""
        if (body := self._request) is not None:
            self._request = None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Keep a part of the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in message.get("headers", ())
            ]
        elif len(self.body) <= _MOST_BYTES:
            self.body += message.get("body", b"")

    def answer(self) -> JsonObject:
        """The answer in the form of Lambda."""
        headers: dict[str, str] = {}
        for name, value in self._headers:
            if name != "set-cookie":
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        text = _text_of(self.body, headers)
        return {
            "statusCode": self._status,
            "headers": headers,
            "cookies": [value for name, value in self._headers if name == "set-cookie"],
            "body": base64.b64encode(self.body).decode("ascii") if text is None else text,
            "isBase64Encoded": text is None,
        }


def _text_of(body: bytearray, headers: Mapping[str, str]) -> str | None:
    """The body if it is a text that is best sent as it is."""
    kind = headers.get("content-type", "").partition(";")[0]
    is_text = kind.startswith("text/") or kind.endswith(("json", "javascript", "+xml"))
    if body and (not is_text or "content-encoding" in headers or len(body) > _MOST_TEXT):
        return None
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None
