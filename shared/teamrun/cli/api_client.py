"""The HTTP API as the commands use it: plain requests, problems turned into errors."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2

from teamrun.cli.problems import raise_problem
from teamrun.cli.sse import ServerSentEvent, parse
from teamrun.core.urls import path_segment, public_url
from teamrun.errors import (
    Unavailable,
    UsageError,
)
from teamrun.json_types import JsonMapping

__all__ = ["DEFAULT_URL", "ApiClient", "is_header_text"]

DEFAULT_URL = "http://127.0.0.1:8080"

CONNECT_S = 5.0
# The server sends a comment every 15 s; silence of three of them is a lost connection.
SILENCE_S = 45.0
_REMEDY = f"Set --url or TEAMRUN_URL to one such as {DEFAULT_URL}."
RETRIES = 30
RETRY_S = 1.0


class ApiClient:
    """A client of one API.

    Resources are named by the segments of their path below the version, such as
    `get("runs", run_id)`. Each is percent-encoded, so that no id is taken for another resource.

    Args:
        url: The API's URL.
        api_key: Sent as `Authorization: Bearer`.
        transport: In place of the network.
        sleep: How to wait before a stream is opened again.

    Raises:
        UsageError: The URL is not one of HTTP, or the key cannot be sent.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        if api_key and not is_header_text(api_key):
            raise UsageError(
                "The API key has characters that no HTTP header takes; look at --api-key or "
                "TEAMRUN_API_KEY."
            )
        trust_env = _host(url) not in {"127.0.0.1", "::1", "localhost"}
        self.shown_url = public_url(url)
        """The API's URL without credentials, for messages."""
        self.has_key = bool(api_key)
        self._sleep = sleep
        self._has_answered = False
        try:
            self._http = httpx2.Client(
                base_url=url,
                headers=headers,
                transport=transport,
                # A proxy of the environment is not for this machine itself.
                trust_env=trust_env,
                timeout=httpx2.Timeout(SILENCE_S, connect=CONNECT_S),
            )
        except (httpx2.InvalidURL, ValueError):  # their texts repeat parts of the URL
            raise UsageError(f"{self.shown_url} is not a URL. {_REMEDY}") from None

    def get(self, *segments: str, **query: Any) -> str:
        """The JSON text of a resource."""
        params = {name: value for name, value in query.items() if value is not None}
        return self._request("GET", _path(segments), params=params).text

    def fetch(self, *segments: str) -> bytes:
        """The bytes of a resource."""
        return self._request("GET", _path(segments)).content

    def post(self, *segments: str, body: JsonMapping, headers: Mapping[str, str] = {}) -> str:
        """Send a POST request and return the JSON text of the response.

        Raises:
            UsageError: The body cannot be written as JSON in UTF-8.
        """
        content = _encoded(body)
        sent = {"Content-Type": "application/json", **headers}
        return self._request("POST", _path(segments), content=content, headers=sent).text

    def delete(self, *segments: str) -> None:
        """Delete a resource."""
        self._request("DELETE", _path(segments))

    def follow(self, run_id: str, *, after: str | None = None) -> Iterator[ServerSentEvent]:
        """The events of a run as they happen, to the last; an interrupted stream is resumed."""
        last, failures, cause = after, 0, ""
        while failures <= RETRIES:
            try:
                for message in self._stream(run_id, last):
                    failures = 0
                    last = message.event_id or last
                    if message.event == "end":
                        return
                    yield message
            except httpx2.ConnectError as error:
                if not self._has_answered:  # a wrong URL is likelier than a restart
                    raise Unavailable(self._no_answer(error), setting="url") from error
                cause = f" {self._no_answer(error)}"
            except (httpx2.TransportError, Unavailable) as error:
                cause = f" {error}"
            failures += 1
            self._sleep(RETRY_S)
        raise Unavailable(f"The event stream of {run_id} at {self.shown_url} is lost.{cause}")

    def _stream(self, run_id: str, last: str | None) -> Iterator[ServerSentEvent]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        path = _path(("runs", run_id, "events"))
        with self._http.stream("GET", path, headers=headers) as response:
            self._has_answered = True
            if response.is_error:
                response.read()
            raise_problem(response)
            if response.status_code == 204:  # the run has ended, and `last` is its last event
                yield ServerSentEvent("end", "", last)
            yield from parse(response.iter_lines())

    def _request(self, method: str, path: str, **arguments: Any) -> httpx2.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx2.ConnectError as error:
            raise Unavailable(self._no_answer(error), setting="url") from error
        except httpx2.TransportError as error:
            raise Unavailable(f"{self.shown_url} does not respond: {error}") from error
        self._has_answered = True
        raise_problem(response)
        return response

    def _no_answer(self, error: httpx2.ConnectError) -> str:
        return (
            f"No API responds at {self.shown_url}: start one with `teamrun serve`, or set "
            f"its URL with --url or TEAMRUN_URL ({error})."
        )


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a port beyond 65535 raises
        (host or "").encode("idna")  # as the resolver does; a UnicodeError is a ValueError
    except ValueError:  # its text repeats parts of the URL
        raise UsageError(f"{public_url(url)} is not a URL. {_REMEDY}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise UsageError(f"{public_url(url)} is not the URL of an HTTP service. {_REMEDY}")
    if "@" in parts.path or "?" in url or "#" in url:
        raise UsageError(
            f"{public_url(url)}: the URL has a query or a fragment, or a password with characters "
            "that must be percent-encoded: # is %23, / is %2F, ? is %3F, @ is %40."
        )
    return host


def is_header_text(value: str) -> bool:
    """Whether an HTTP header carries the value unchanged (RFC 9110, 5.5)."""
    return value.isascii() and value.isprintable() and value == value.strip()


def _path(segments: Iterable[str]) -> str:
    return "/".join(("/v1", *map(path_segment, segments)))


def _encoded(body: JsonMapping) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise UsageError(
            "The request cannot be sent: a number is not finite, a text contains half of a "
            "surrogate pair, or values are nested too deeply."
        ) from None
