"""Limits of request bodies: size, form and depth.

`BodyLimit` looks at headers and counts bytes as they arrive; `check_shape` looks at parsed JSON.
"""

import asyncio
import contextlib
import math
from collections.abc import Iterable
from typing import Any, cast

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun_api.faults import BodyTooLarge, InvalidJson, RequestTimeout, UnsupportedMediaType
from teamrun_api.problems import problem_response

__all__ = ["MAX_DEPTH", "MAX_NODES", "BodyLimit", "check_shape"]

MAX_DEPTH = 64
"""How many arrays and objects of a body may lie in each other."""

MAX_NODES = 10_000
"""Maximum number of values in a body."""

_DRAIN_BYTES = 16 * 1024 * 1024
"""How much of a refused body is read and dropped, so that the client sees the answer and not a
reset connection."""

_DRAIN_SECONDS = 5.0

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


class BodyLimit:
    """ASGI middleware that refuses bodies which are too large, too slow, compressed or not JSON.

    Args:
        app: The application.
        limit: Maximum size in bytes.
        seconds: Time for the whole body.
        streamed: Paths whose bodies are files of any size and type; the time is for each piece.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: int,
        seconds: float,
        streamed: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._limit = limit
        self._seconds = seconds
        self._streamed = streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if its headers are valid; count the bytes of its body."""
        if scope["type"] != "http" or scope["method"] in _WITHOUT_BODY:
            await self._app(scope, receive, send)
            return
        refusal = _Refusal(scope, receive, send)
        headers = Headers(scope=scope)
        is_file = scope["path"] in self._streamed
        fault = _fault_of_file(headers) if is_file else self._fault_of(headers)
        if fault is not None:
            refusal.leaves_body = True
            await problem_response(fault, scope)(scope, receive, refusal.send)
            return
        read = self._paced(receive, refusal) if is_file else self._counted(receive, refusal)
        await self._app(scope, read, refusal.send)

    def _fault_of(self, headers: Headers) -> UsageError | None:
        if (compressed := _compression_of(headers)) is not None:
            return compressed
        media_type = headers.get("content-type")
        if media_type is not None and not _is_json(media_type):
            return UnsupportedMediaType(
                f"The body has Content-Type {media_type!r}; send application/json."
            )
        if _length_of(headers) > self._limit:
            return self._too_large()
        if media_type is None and _has_body(headers):
            return UnsupportedMediaType(
                "The body has no Content-Type; send `Content-Type: application/json`."
            )
        return None

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"The body has more than {self._limit} bytes;"
            " send less, or have the operator raise TEAMRUN_BODY_LIMIT_BYTES.",
            limit=self._limit,
        )

    def _too_slow(self) -> RequestTimeout:
        return RequestTimeout(
            f"The body did not arrive within {self._seconds:g} seconds; send the request again, or"
            " have the operator raise TEAMRUN_BODY_TIMEOUT_SECONDS."
        )

    def _paced(self, receive: Receive, refusal: "_Refusal") -> Receive:
        """Read a body of any size, as long as its next piece arrives in time."""
        complete = False

        async def reading() -> Message:
            nonlocal complete
            if complete:  # the next message is the client's disconnect
                return await receive()
            try:
                async with asyncio.timeout(self._seconds):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow() from None
            complete = not message.get("more_body", False)
            refusal.leaves_body = not complete
            return message

        return reading

    def _counted(self, receive: Receive, refusal: "_Refusal") -> Receive:
        left, complete = self._limit, False
        latest = asyncio.get_running_loop().time() + self._seconds

        async def counting() -> Message:
            nonlocal left, complete
            if complete:  # the next message is the client's disconnect
                return await receive()
            try:
                async with asyncio.timeout_at(latest):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow() from None
            if message["type"] == "http.request":
                complete = not message.get("more_body", False)
                left -= len(message.get("body", b""))
                if left < 0:
                    refusal.leaves_body = not complete
                    raise self._too_large()
            return message

        return counting


def _compression_of(headers: Headers) -> UnsupportedMediaType | None:
    encoding = ", ".join(headers.getlist("content-encoding"))
    if encoding.strip().lower() in {"", "identity"}:
        return None
    return UnsupportedMediaType(
        f"The body has Content-Encoding {encoding[:64]!r}; send it uncompressed."
    )


def _fault_of_file(headers: Headers) -> UsageError | None:
    if headers.get("content-type", "").lower().startswith("multipart/"):
        return UnsupportedMediaType(
            "The body is a form; send the file itself as the body, as `curl --data-binary` does."
        )
    return _compression_of(headers)


class _Refusal:
    """Sends an answer at once, and only then reads the rest of a body that was refused.

    A server that closes a connection while its client still sends resets it, and the client may
    never see the answer. One that reads first lets a slow client wait for its answer.
    """

    __slots__ = ("_receive", "_scope", "_send", "leaves_body")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.leaves_body = False
        """Whether some of the body has not been read."""

    async def send(self, message: Message) -> None:
        if self.leaves_body and message["type"] == "http.response.body":
            await self._send({**message, "more_body": True})
            await _drain(self._scope, self._receive)
            message = {"type": "http.response.body"}
        await self._send(message)


def check_shape(value: object, *, most: int = MAX_NODES) -> None:
    """Check parsed JSON against the limits of depth, size and range.

    Raises:
        InvalidJson: It is deeper or has more values than allowed, or a number is out of range.
    """
    level: list[object] = [value]
    depth = nodes = 0
    while level:
        nodes += len(level)
        if nodes > most:
            raise InvalidJson(f"The body has more than {most} values; send fewer.")
        depth += any(isinstance(item, dict | list) for item in level)
        if depth > MAX_DEPTH:
            raise InvalidJson(
                f"The body nests arrays and objects deeper than {MAX_DEPTH}; make it flatter."
            )
        level = [child for item in level for child in _children(item)]


def _children(item: object) -> Iterable[object]:
    match item:
        case dict():
            return cast("JsonObject", item).values()
        case list():
            return cast("list[Any]", item)
        case float() if not math.isfinite(item):
            raise InvalidJson("The body contains a number that is out of range.")
        case _:
            return ()


def _is_json(media_type: str) -> bool:
    essence, _, parameters = media_type.partition(";")
    charset = parameters.strip().lower().partition("charset=")[2].strip('" ')
    return essence.strip().lower() == "application/json" and charset in {"", "utf-8", "utf8"}


def _length_of(headers: Headers) -> int:
    value = headers.get("content-length", "")
    # More digits than any size has: the server below has refused them, or should have.
    return int(value[:18]) if value.isascii() and value.isdigit() else 0


def _has_body(headers: Headers) -> bool:
    return _length_of(headers) > 0 or "transfer-encoding" in headers


async def _drain(scope: Scope, receive: Receive) -> None:
    if "expect" in Headers(scope=scope):
        return  # the client asks first, and would send only now
    left = _DRAIN_BYTES
    more = True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while more and left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                more = message["type"] == "http.request" and message.get("more_body", False)
