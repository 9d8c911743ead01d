"""A program that embeds the library: runtime and HTTP API in a thread of the test's own process."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from tests.conformance.site import Site, Written, files_below
from tests.support.quick_webhooks import quickened
from tests.support.service import free_port

from teamrun.logs import JsonFormatter
from teamrun.runtime import open_runtime
from teamrun.settings import load_settings
from teamrun_api.app import create_app
from teamrun_api.server import Server
from teamrun_api.settings import ApiSettings

__all__ = ["Embedded", "embedded"]


class _Program:
    """One life of the program, on an event loop and a thread of its own."""

    def __init__(self, settings: ApiSettings, environ: dict[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._loop = asyncio.new_event_loop()
        self._socket = socket.socket()
        self._server: Server | None = None
        self._main: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="embedded")

    def start(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((self._settings.host, self._settings.port))
        self._thread.start()
        assert self._ready.wait(60)

    def end(self) -> None:
        """Stop in good order."""
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(60)
        assert not self._thread.is_alive()
        self._close()

    def freeze(self) -> None:
        """Stop at once, as a killed program does: no more code of it runs."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        assert self._server is not None
        for connection in list(self._server.server_state.connections):
            transport = cast(Any, connection).transport
            transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def bury(self) -> None:
        """Free what a frozen program holds."""
        assert self._main is not None
        self._main.remove_done_callback(self._ended)
        self._main.cancel()
        self._loop.run_until_complete(asyncio.wait([self._main]))
        self._close()

    def _close(self) -> None:
        """As `asyncio.run` does at its end."""
        if left := asyncio.all_tasks(self._loop):
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.wait(left))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._main = self._loop.create_task(self._serve())
        self._main.add_done_callback(self._ended)
        self._loop.run_forever()

    def _ended(self, _: object) -> None:
        self._loop.stop()

    async def _serve(self) -> None:
        settings = self._settings
        async with open_runtime(
            settings, environ=self._environ, executes=True, grace=settings.grace
        ) as runtime:
            app = create_app(
                service=runtime.service,
                batches=runtime.batches,
                webhooks=runtime.webhook_service,
                teams=runtime.teams,
                threads=runtime.threads,
                settings=settings,
                checks=runtime.checks(),
                live=runtime.live.is_shared,
            )
            self._server = Server(app, host=settings.host, port=settings.port)
            asyncio.get_running_loop().call_later(0, self._wait_until_started)
            await self._server.serve(sockets=[self._socket])

    def _wait_until_started(self) -> None:
        assert self._server is not None
        if self._server.started:
            self._ready.set()
        else:
            self._loop.call_later(0.01, self._wait_until_started)


class Embedded:
    """Implements `Host`. A program that is lost stays frozen until the end of the host."""

    def __init__(self, site: Site, environ: dict[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._site = site
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "environ", {**environ, "TEAMRUN_PORT": str(port)})
            self._settings = load_settings(ApiSettings)
        self._environ = environ
        self._lost: list[_Program] = []
        self._start()

    def close(self) -> None:
        self._program.end()
        for program in self._lost:
            program.bury()

    def limit(self) -> None:
        self._program.end()
        self._start()

    def lose(self) -> None:
        self._program.freeze()
        self._lost.append(self._program)
        self._start()

    def written(self) -> Iterator[Written]:
        return files_below(self._site.folder / "logs", self._site.folder / "data")

    def _start(self) -> None:
        self._program = _Program(self._settings, self._environ)
        self._program.start()


@contextmanager
def embedded(site: Site, environ: dict[str, str]) -> Generator[Embedded]:
    """The host, with its log in a file."""
    (site.folder / "logs").mkdir()
    with quickened(environ), _logging_to(site.folder / "logs" / "program.log"):
        host = Embedded(site, environ)
        try:
            yield host
        finally:
            host.close()


@contextmanager
def _logging_to(path: Path) -> Generator[None]:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("teamrun")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
