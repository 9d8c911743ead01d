"""Work that ends when the client disconnects or the server stops."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

__all__ = ["departure", "end_all", "while_present"]

T = TypeVar("T")


async def departure(receive: Receive) -> None:
    """Return when the client has closed its connection; the request body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_present(
    receive: Receive, closing: asyncio.Event, work: Coroutine[Any, Any, T]
) -> T | None:
    """The result of `work`; None if `closing` was set first. All tasks have ended on return.

    Raises:
        ClientDisconnect: The client has disconnected.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(departure(receive))
    stopping = asyncio.create_task(closing.wait())
    try:
        await asyncio.wait({working, leaving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if leaving.done():
            raise ClientDisconnect
        return None
    finally:
        await end_all(working, leaving, stopping)


async def end_all(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the running tasks and wait until all have ended; their exceptions are dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
