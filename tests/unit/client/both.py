"""One scenario for both clients."""

import asyncio
from typing import Any, Protocol

import pytest

from teamrun.client import AsyncClient, Client, RetryPolicy
from teamrun.client.requests import Call, Lines, Paged, Polled, Streamed

__all__ = ["AT_ONCE", "Way", "with_both_clients"]

ITEMS = (Lines, Paged, Polled, Streamed)

AT_ONCE = RetryPolicy(first_delay=0, max_delay=0)
"""Retries without delay."""


class Way(Protocol):
    """One client: sends a call, and gives back its value, or the list of its items."""

    def __call__(
        self, url: str, call: Call, *, retries: RetryPolicy = AT_ONCE, **given: Any
    ) -> Any:
        """Send it to the server at `url`."""
        ...


def by_client(url: str, call: Call, *, retries: RetryPolicy = AT_ONCE, **given: Any) -> Any:
    with Client(url, retries=retries, **given) as client:
        send: Any = client.send  # its overloads take one kind of call each
        value = send(call)
        return list(value) if isinstance(call, ITEMS) else value


def by_async_client(url: str, call: Call, *, retries: RetryPolicy = AT_ONCE, **given: Any) -> Any:
    async def scenario() -> Any:
        async with AsyncClient(url, retries=retries, **given) as client:
            send: Any = client.send
            if isinstance(call, ITEMS):
                return [item async for item in send(call)]
            return await send(call)

    return asyncio.run(scenario())


with_both_clients = pytest.mark.parametrize("send", [by_client, by_async_client])
"""Runs a test with `Client` and with `AsyncClient`."""
