"""The server that a command talks to: the only place of the command line that makes a client.

A command makes a call with a function of `teamrun.client.calls` and sends it here. With `--json` it
prints the answer as the server sent it.
"""

import json
from collections.abc import Callable
from typing import TypeVar

from teamrun.cli.screen import print_json, result
from teamrun.client.address import DEFAULT_URL
from teamrun.client.aio import AsyncClient
from teamrun.client.requests import Request
from teamrun.client.retries import RetryPolicy
from teamrun.client.sync import Client

__all__ = ["DEFAULT_URL", "POLICY", "connect", "connect_async", "print_deleted", "print_value"]

T = TypeVar("T")

POLICY = RetryPolicy(max_retries=2, max_reconnects=30, max_delay=1.0, retry_unreachable=False)
"""A wrong URL fails at once, and a server that restarts is awaited for half a minute."""


def connect(url: str, api_key: str | None) -> Client:
    """A client of the server that the options name.

    Raises:
        UsageError: The URL is not one of HTTP, or the key cannot be sent.
    """
    return Client(url, api_key=api_key, retries=POLICY)


def connect_async(url: str, api_key: str | None) -> AsyncClient:
    """The same for asyncio.

    Raises:
        UsageError: The URL is not one of HTTP, or the key cannot be sent.
    """
    return AsyncClient(url, api_key=api_key, retries=POLICY)


def print_value(
    client: Client, request: Request[T], shown: Callable[[T], str], *, as_json: bool
) -> T:
    """Send a request and print its answer: the JSON document, or a text.

    Args:
        client: The client.
        request: The request.
        shown: The text of the value.
        as_json: Print the document as the server sent it.
    """
    reply = client.reply(request)
    value = request.value(reply)
    if as_json:
        print_json(reply.text)
    else:
        result(shown(value))
    return value


def print_deleted(resource_id: str, *, as_json: bool) -> None:
    """Print the id of a resource that was deleted, for which the answer has no content."""
    if as_json:
        print_json(json.dumps({"id": resource_id, "deleted": True}))
    else:
        result(resource_id)
