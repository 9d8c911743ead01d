"""A server as a process of this machine: messages are the lines of its standard input and output.

In place of the SDK's own transport, which reads lines of any length, logs what a server writes
there by mistake, and does not end if it is cancelled while it waits for the process. See the
specification (2025-11-25), basic/transports and basic/lifecycle.
"""

import asyncio
import contextlib
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from teamrun.tools.mcp.params import StdioServerParams

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

__all__ = ["MOST_BYTES", "Stderr", "redacted", "run_server"]

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 16 * 1024 * 1024
"""Bytes of one message that are read."""

_LAST_LINES: Final = 20
_MOST_LINE: Final = 2_000
_PATIENCE_S: Final = 2.0
"""How long a process may take to end after its input has ended, and again after SIGTERM."""


def redacted(text: str, secrets: frozenset[str]) -> str:
    """The text with `***` in place of each secret."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


class Stderr:
    """The last lines of a process's standard error, without the secrets that it was given."""

    def __init__(self, server: str, secrets: frozenset[str]) -> None:
        self._server = server
        self._secrets = secrets
        self.lines: deque[str] = deque(maxlen=_LAST_LINES)

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Read lines until the process has ended, and log them at debug level."""
        while line := await _line(reader):
            text = redacted(line.decode("utf-8", "replace").rstrip(), self._secrets)[:_MOST_LINE]
            self.lines.append(text)
            logger.debug(
                "An MCP server wrote to its standard error",
                extra={"action": "mcp.stderr", "server": self._server, "line": text},
            )


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line, or the part of it that fits; empty at the end."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await reader.read(max(error.consumed, 1))


@asynccontextmanager
async def run_server(
    params: StdioServerParams, stderr: Stderr
) -> "AsyncGenerator[TransportStreams]":
    """Start the process, and end it together with the block: it has some seconds for that.

    Raises:
        OSError: It cannot be started.
    """
    import anyio
    from mcp.client.stdio import get_default_environment

    process = await asyncio.create_subprocess_exec(
        params.command,
        *params.args,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env={**get_default_environment(), **(params.env or {})},
        cwd=params.cwd,
        limit=MOST_BYTES,
        start_new_session=True,
    )
    assert process.stderr is not None, "it has pipes"
    received, read = anyio.create_memory_object_stream[Any](0)
    write, sent = anyio.create_memory_object_stream[Any](0)
    tasks = [
        asyncio.create_task(_read(process, params, received)),
        asyncio.create_task(_write(process, params, sent)),
        asyncio.create_task(stderr.read(process.stderr)),
    ]
    try:
        yield read, write
    finally:
        for stream in (read, write, received, sent):
            stream.close()
        try:
            await _end(process)
        finally:
            _signal(process, signal.SIGKILL)  # also children that it has left behind
            tasks.append(asyncio.create_task(_over(process)))
            await asyncio.wait(tasks, timeout=_PATIENCE_S)
            for task in tasks:
                task.cancel()


async def _read(process: Process, params: StdioServerParams, received: Any) -> None:
    """Pass messages on until the end of the output; what the session does not take is dropped."""
    import anyio
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    assert process.stdout is not None, "it has pipes"
    is_open = True
    with contextlib.suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        while True:
            line = await process.stdout.readuntil(b"\n")
            if not is_open or not line.strip():
                continue
            try:
                text = line.decode(params.encoding, params.encoding_error_handler)
                message = jsonrpc_message_adapter.validate_json(text, by_name=False)
                item: Any = SessionMessage(message)
            except ValueError:  # without its text, which may contain anything
                item = ValueError("A line of the server is not a message of JSON-RPC.")
            try:
                await received.send(item)
            except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                is_open = False
    received.close()


async def _write(process: Process, params: StdioServerParams, sent: Any) -> None:
    import anyio

    assert process.stdin is not None, "it has pipes"
    with contextlib.suppress(anyio.ClosedResourceError, OSError):
        async for item in sent:
            text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(f"{text}\n".encode(params.encoding, "replace"))
            await process.stdin.drain()


async def _over(process: Process) -> None:
    await process.wait()


async def _end(process: Process) -> None:
    """Close the input; if the process does not end, ask it to with SIGTERM."""
    assert process.stdin is not None, "it has pipes"
    process.stdin.close()
    for _ in range(2):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                await process.wait()
                return
        _signal(process, signal.SIGTERM)


def _signal(process: Process, number: signal.Signals) -> None:
    """Send a signal to the process and its children, which are a group of their own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
