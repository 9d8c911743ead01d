"""An ASGI application on a free port of loopback, in the event loop of the test."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

__all__ = ["served"]


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncGenerator[str]:
    """Serve; yields the URL."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="auto")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        await task
