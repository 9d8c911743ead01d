"""Receivers whose answers are no HTTP, or have no end: always an outcome, never an error."""

import asyncio
import contextlib
import gzip
import itertools
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from teamrun.core.clock import SystemClock
from teamrun.json_types import JsonObject
from teamrun.net.destinations import Destinations
from teamrun.webhooks.secret import new_secret
from teamrun.webhooks.sender import GuardedSender, Sent
from teamrun.webhooks.target import Target

EVENT: JsonObject = {
    "id": "run_1-1",
    "seq": 1,
    "type": "run.completed",
    "time": "2026-01-01T00:00:00Z",
    "run_id": "run_1",
    "data": {},
}

OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def answering(parts: Iterable[bytes]) -> AsyncGenerator[int]:
    """A server that reads a request, sends the parts as fast as they are taken, and closes."""
    tasks = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def sent_to(parts: Iterable[bytes]) -> Sent:
    """The outcome of a try."""
    async with answering(parts) as port:
        sender = GuardedSender(
            Destinations([f"127.0.0.1:{port}"]),
            clock=SystemClock(),
            timeout=timedelta(seconds=1),
        )
        url = f"http://127.0.0.1:{port}/hook"
        target = Target(tenant="t", id="own", url=url, events=["*"], secrets=[new_secret()])
        try:
            return await sender.send(EVENT, target)
        finally:
            await sender.close()


def bombs() -> Iterable[bytes]:
    for n in itertools.count():
        yield b"X-%d: " % n + b"y" * 8_000 + b"\r\n"


BROKEN: dict[str, Iterable[bytes]] = {
    "nothing": [],
    "no HTTP": [b"hello world\r\n\r\n"],
    "header bomb": itertools.chain([OK], bombs()),
    "header without end": itertools.chain([OK + b"X: "], itertools.repeat(b"y" * 8_000)),
    "body that is cut": [OK + b"Content-Length: 100\r\n\r\nabc"],
    "two lengths": [OK + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc"],
    "negative length": [OK + b"Content-Length: -3\r\n\r\n"],
    "length that is no number": [OK + b"Content-Length: abc\r\n\r\n"],
    "chunk that is no number": [OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"],
    "another protocol": [b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"],
    "status that is too low": [b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n"],
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_not_http_is_a_failed_connection(name: str) -> None:
    sent = await sent_to(BROKEN[name])
    assert (sent.made.status, sent.made.error, sent.is_down) == (None, "connection_failed", True)
    assert sent.detail is not None


@pytest.mark.parametrize(
    "parts",
    [
        itertools.repeat(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
        itertools.chain(
            [OK + b"Transfer-Encoding: chunked\r\n\r\n"], itertools.repeat(b"1\r\nx\r\n", 100)
        ),
    ],
    ids=["hints without end", "body without end"],
)
async def test_an_answer_without_an_end_is_a_timeout_or_is_cut(parts: Iterable[bytes]) -> None:
    sent = await sent_to(parts)
    assert sent.made.error in ("timeout", "connection_failed")


ODD: dict[str, bytes] = {
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "hints before": b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + OK + b"Content-Length: 0\r\n\r\n",
    "no UTF-8": OK + b"X-Y: \xff\xfe\r\nContent-Length: 2\r\n\r\n\xff\xfe",
    "reason that is no text": b"HTTP/1.1 200 \xff\xff\r\nContent-Length: 0\r\n\r\n",
    "large chunks": OK
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 400,
}


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_answer_with_a_status_of_success_is_accepted(name: str) -> None:
    sent = await sent_to([ODD[name]])
    assert (sent.made.status, sent.made.error, sent.detail) == (200, None, None)


async def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(b"0" * 20_000_000)
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    sent = await sent_to([head + bomb])
    assert (sent.made.status, sent.made.error) == (200, None)


@pytest.mark.parametrize(
    "value",
    ["-5", "nan", "x", "5, 6", "9" * 400, "1e400", "Fri, 99 Foo 99999 00:00:00 GMT", "\xff"],
)
async def test_an_invalid_pause_is_no_error(value: str) -> None:
    answer = f"HTTP/1.1 429 X\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
    sent = await sent_to([answer.encode("latin-1")])
    assert (sent.made.status, sent.made.error) == (429, "http_status")
    assert sent.after is None or sent.after > timedelta()
