"""Clients that are slow, that leave, or that send two lengths, on a real socket."""

import asyncio
import json
import logging
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from tests.support.api import World, world

from teamrun.runs.service.follow import Start
from teamrun.runs.service.news import News
from teamrun_api.server import Server

pytestmark = pytest.mark.integration

GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


class Announced(Server):
    """Sets `up` when it accepts connections."""

    def __init__(self, app: FastAPI, *, host: str, port: int) -> None:
        super().__init__(app, host=host, port=port)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


async def read_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The server's bytes until it closes the connection."""
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@asynccontextmanager
async def serving(w: World) -> AsyncGenerator[int, None]:
    """The application on a free port."""
    server = Announced(w.app, host="127.0.0.1", port=0)
    task = asyncio.create_task(server.serve())
    await server.up.wait()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


SLOW = {
    "nothing at all": b"",
    "half a request line": b"GET /heal",
    "a head without its end": GET + b"X-Slow: 1\r\n",
    "the second head of a connection": GET + b"\r\n" + GET,
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW.keys())
async def test_a_client_that_does_not_send_a_whole_head_is_cut_off(sent: bytes) -> None:
    async with world(head_timeout_seconds=0.2) as w, serving(w) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)

        async def drip() -> None:
            while True:  # further bytes must not extend the time
                await asyncio.sleep(0.05)
                if sent:
                    writer.write(b"x")

        dripping = asyncio.create_task(drip())
        answered = await read_all(reader, writer)
        dripping.cancel()
        assert answered.count(b"HTTP/1.1") == sent.count(b"\r\n\r\n")


async def test_a_client_that_does_not_send_its_body_is_answered_408_and_cut_off() -> None:
    async with world(body_timeout_seconds=0.2) as w, serving(w) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST + b'Content-Length: 1000\r\n\r\n{"team"')
        answered = await read_all(reader, writer)
        head, _, body = answered.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert json.loads(body)["code"] == "request_timeout"
        assert not w.mailbox.refs


async def test_slow_clients_do_not_delay_others_and_a_waiting_request_is_not_slow() -> None:
    limited = world(head_timeout_seconds=0.2, body_timeout_seconds=0.2)
    async with limited as w, serving(w) as port:
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b'{"team": "writers", "input": "Go"}'
        head = b"Prefer: wait=1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        writer.write(POST + head + body)
        assert (await read_all(reader, writer)).startswith(b"HTTP/1.1 202 ")
        for connection in slow:
            assert await read_all(*connection) == b""


async def test_a_request_with_two_lengths_does_not_keep_its_connection() -> None:
    async with world() as w, serving(w) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            POST
            + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            + GET
            + b"\r\n"
        )
        answered = await read_all(reader, writer)
        assert answered.startswith(b"HTTP/1.1 400 ")
        assert answered.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 99999999999999\r\n\r\n{",
        POST + b"Content-Length: 2000000\r\n\r\n{",
        POST + b"Transfer-Encoding: chunked\r\n\r\n200000\r\n" + b" " * 0x200000 + b"\r\n",
        POST.replace(b"json", b"xml") + b"Content-Length: 100\r\n\r\n",
    ],
    ids=["beyond all sizes", "too large", "in chunks", "of another type"],
)
async def test_a_body_that_is_refused_is_answered_before_the_rest_has_arrived(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("teamrun_api.limits._DRAIN_SECONDS", 3600.0)
    async with world() as w, serving(w) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = json.loads(await reader.readexactly(length))
        assert body["code"] in {"body_too_large", "unsupported_media_type"}
        writer.close()


NOT_HTTP = {
    "garbage": b"\x16\x03\x01 hello\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "a header without a colon": GET + b"no colon\r\n\r\n",
    "a header with a blank before the colon": GET + b"X : 1\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "a length that is no number": POST + b"Content-Length: five\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "an endless head": GET + b"X: " + b"x" * 100_000,
    "an unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
}


@pytest.mark.parametrize("sent", NOT_HTTP.values(), ids=NOT_HTTP.keys())
async def test_data_that_is_not_http_is_answered_with_a_problem(sent: bytes) -> None:
    async with world() as w, serving(w) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        head, _, body = (await read_all(reader, writer)).partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert b"content-type: application/problem+json" in head.lower()
    assert (problem["status"], problem["code"]) == (400, "invalid_request")
    assert f"x-request-id: {problem['request_id']}".encode() in head.lower()


async def test_a_request_for_another_protocol_is_answered_and_advises_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    upgrade = b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    with caplog.at_level(logging.WARNING):
        async with world() as w, serving(w) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET + upgrade)
            assert (await read_all(reader, writer)).startswith(b"HTTP/1.1 200 ")
    assert [record.message for record in caplog.records] == []


async def test_a_client_that_hangs_up_in_a_burst_of_events_leaves_no_warnings(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "asyncio"):
        async with world() as w, serving(w) as port:
            run_id = await w.ended()
            client = socket.create_connection(("127.0.0.1", port))
            news = w.service.news

            async def one_by_one(start: Start) -> AsyncGenerator[list[News], None]:
                async for each in (each async for batch in news(start) for each in batch):
                    if each.n == 1:
                        # A reset, as the kernel sends it for a process that is killed.
                        reset = struct.pack("ii", 1, 0)
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                        client.close()
                    yield [each]

            w.service.news = one_by_one
            path = f"GET /v1/runs/{run_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            client.sendall(f"{path}Accept: text/event-stream\r\n\r\n".encode())
            await w.service.opened.acquire()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET + b"Connection: close\r\n\r\n")
            assert (await read_all(reader, writer)).startswith(b"HTTP/1.1 200 ")
            assert client.fileno() == -1
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []
