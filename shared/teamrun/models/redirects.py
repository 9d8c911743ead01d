"""Redirects of model servers: followed on the same server only.

A redirected request has the headers and, under 307 and 308, the body of the first one (RFC 9110,
section 15.4). `httpx2` removes only `Authorization` when the host changes. A conversation and the
other headers of a profile, which may be keys too, must not go to a host that a server chose.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import httpx2

from teamrun.models.http_errors import redirected

__all__ = ["guarded", "on_same_server"]

_SENT = "teamrun.sent"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_active: ContextVar[bool] = ContextVar("teamrun_redirects", default=False)


@dataclass(frozen=True, slots=True)
class _Sent:
    """The first request of a chain of redirects."""

    method: str
    url: httpx2.URL


def guarded(client: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """The same client, which raises before it follows a redirect of a model call elsewhere.

    Only requests inside `on_same_server` are checked: the client may be the caller's own.
    """
    hooks = client.event_hooks["request"]
    if _check not in hooks:
        hooks.append(_check)
    return client


@contextmanager
def on_same_server() -> Generator[None]:
    """Check the redirects of requests that begin inside the block."""
    before = _active.get()
    _active.set(True)
    try:
        yield
    finally:
        _active.set(before)


async def _check(request: httpx2.Request) -> None:
    """Called by `httpx2` before each request; one that follows a redirect has its extensions."""
    sent: _Sent | None = request.extensions.get(_SENT)
    if sent is not None:
        if request.method != sent.method or not _is_same_server(sent.url, request.url):
            raise redirected(request.url, request)
    elif _active.get():
        request.extensions[_SENT] = _Sent(request.method, request.url)


def _is_same_server(first: httpx2.URL, then: httpx2.URL) -> bool:
    if _origin(first) == _origin(then):
        return True
    upgraded = ("http", then.host, 80), ("https", first.host, 443)
    return (_origin(first), _origin(then)) == upgraded


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port (RFC 6454, section 4)."""
    return url.scheme, url.host, url.port or _DEFAULT_PORTS.get(url.scheme)
