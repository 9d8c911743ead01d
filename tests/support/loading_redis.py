"""A Redis server that has just been started: it answers -LOADING until its data is read."""

import asyncio
import contextlib
from typing import Self

from tests.support.services import Valkey

__all__ = ["LoadingRedis"]

_BUSY = b"-LOADING Redis is loading the dataset in memory\r\n"


class LoadingRedis:
    """A TCP server in front of a Valkey: every command gets -LOADING until `loaded` is called."""

    def __init__(self, server: Valkey) -> None:
        self._server = server
        self._loading = True
        self._open: set[asyncio.StreamWriter] = set()
        self.refused = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self._close_all()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}/0"

    def loaded(self) -> None:
        """From now on Valkey answers."""
        self._loading = False
        self._close_all()

    def _close_all(self) -> None:
        for writer in self._open:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await (self._refuse if self._loading else self._forward)(reader, writer)
        self._open.discard(writer)
        writer.close()

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            for _ in range(int(head[1:])):
                size = int((await reader.readline())[1:])
                await reader.readexactly(size + 2)
            self.refused += 1
            writer.write(_BUSY)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(str(self._server.socket))
        self._open.add(server_writer)
        await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))
        self._open.discard(server_writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
