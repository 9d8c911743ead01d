"""Requests spread over small pools."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from teamrun.models.http_pool import SpreadTransport, http_client

REQUEST = httpx2.Request("GET", "http://127.0.0.1/")


class Body(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"ok"

    async def aclose(self) -> None:
        pass


class Pool(httpx2.AsyncBaseTransport):
    def __init__(self) -> None:
        self.requests = 0
        self.closed = False
        self.fails: BaseException | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        if self.fails is not None:
            raise self.fails
        return httpx2.Response(200, stream=Body())

    async def aclose(self) -> None:
        self.closed = True


class Spread:
    def __init__(self, *, idle: timedelta = timedelta(days=1)) -> None:
        self.made: list[Pool] = []
        self.transport = SpreadTransport(self.make, per_pool=2, idle=idle)

    def make(self) -> Pool:
        self.made.append(Pool())
        return self.made[-1]

    async def open(self) -> httpx2.Response:
        return await self.transport.handle_async_request(REQUEST)

    @property
    def requests(self) -> list[int]:
        return [pool.requests for pool in self.made]


async def test_a_pool_takes_so_many_requests_and_the_next_one_the_rest() -> None:
    spread = Spread()
    for _ in range(5):
        await spread.open()
    assert spread.requests == [2, 2, 1]


async def test_a_closed_response_makes_room_and_only_once() -> None:
    spread = Spread()
    first = await spread.open()
    await spread.open()
    assert await first.aread() == b"ok"
    await first.aclose()
    await first.aclose()
    await spread.open()
    assert spread.requests == [3]
    await spread.open()
    assert spread.requests == [3, 1]


@pytest.mark.parametrize("error", [httpx2.ConnectError("x"), asyncio.CancelledError()])
async def test_a_request_that_fails_makes_room(error: BaseException) -> None:
    spread = Spread()
    await spread.open()
    spread.made[0].fails = error
    for _ in range(3):
        with pytest.raises(type(error)):
            await spread.open()
    assert spread.requests == [4]


async def test_the_last_pool_is_closed_when_it_has_been_empty_for_long_enough() -> None:
    async def body(idle: timedelta) -> list[bool]:
        spread = Spread(idle=idle)
        responses = [await spread.open() for _ in range(3)]
        await responses[2].aclose()
        await responses[0].aclose()
        await spread.open()
        return [pool.closed for pool in spread.made]

    assert await body(timedelta(days=1)) == [False, False]
    assert await body(timedelta(seconds=-1)) == [False, True]


async def test_closing_closes_every_pool() -> None:
    spread = Spread()
    for _ in range(3):
        await spread.open()
    await spread.transport.aclose()
    assert [pool.closed for pool in spread.made] == [True, True]


async def test_clients_of_a_thread_read_the_same_certificates_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[ssl.SSLContext] = []

    def context() -> ssl.SSLContext:
        read.append(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return read[-1]

    monkeypatch.setattr(httpx2, "create_ssl_context", context)
    for name in ("a.pem", "b.pem", "a.pem"):
        monkeypatch.setenv("SSL_CERT_FILE", name)
        for _ in range(2):
            await http_client().aclose()
    await asyncio.to_thread(http_client)

    assert len(read) == 3


async def test_certificates_that_were_replaced_are_read_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read: list[ssl.SSLContext] = []

    def context() -> ssl.SSLContext:
        read.append(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return read[-1]

    monkeypatch.setattr(httpx2, "create_ssl_context", context)
    place = tmp_path / "ca.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(place))
    for seconds in (1, 1, 2):
        place.write_text("certificates", encoding="ascii")
        os.utime(place, (seconds, seconds))
        await http_client().aclose()
    assert len(read) == 2
