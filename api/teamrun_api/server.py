"""The application on a socket: uvicorn, with a bound on slow clients and an end for streams."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Generator
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI

from teamrun.errors import UsageError
from teamrun_api.app import api_of
from teamrun_api.connections import Connection

__all__ = ["Server"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

GRACE_S = 10
"""How long answers that are being sent may take when the server stops."""


class Server(uvicorn.Server):
    """A uvicorn server that ends event streams and waiting requests first when it stops.

    uvicorn alone waits for open connections, and a stream ends only with its run.
    """

    def __init__(self, app: FastAPI, *, host: str, port: int) -> None:
        """Serve `app`; 0 is a free port."""
        api = api_of(app)
        self._closing: asyncio.Event = api.closing
        head_timeout_seconds = api.settings.head_timeout_seconds
        connection: Any = partial(Connection, head_timeout_seconds=head_timeout_seconds)
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            http=connection,
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop at SIGINT and SIGTERM, and then return, so that open resources can be closed.

        uvicorn's own raises the signal once more at the end, which would kill this process there.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen.

        Raises:
            UsageError: The address cannot be listened on. uvicorn alone would exit with status 3.
        """
        try:
            await super().startup(sockets)
        except SystemExit:
            raise UsageError(
                f"Cannot listen on {self.config.host}, port {self.config.port}: the port is "
                "already in use, or the address is not one of this machine. Choose another one "
                "with --port (TEAMRUN_PORT) or --host (TEAMRUN_HOST)."
            ) from None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what would never end by itself, then what uvicorn ends."""
        self._closing.set()
        await super().shutdown(sockets)
