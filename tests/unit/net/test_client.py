"""Requests to URLs from input, over real connections on loopback."""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import NamedTuple

import httpx2
import pytest
from tests.support.certificates import Authority
from tests.support.http_server import QuietHandler, serving

from teamrun.errors import DestinationRefused
from teamrun.net.client import Answer, GuardedClient, Resolve
from teamrun.net.destinations import Destinations

_LONG = timedelta(seconds=30)


class Server(NamedTuple):
    port: int
    requests: list[QuietHandler]


class Names:
    """A resolver whose answers the test decides; the last one is repeated."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def server() -> Generator[Server]:
    requests: list[QuietHandler] = []
    released = Event()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            requests.append(self)
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            match self.path:
                case "/elsewhere":
                    self.send_response(307)
                    self.send_header("Location", "/echo")
                    self.end_headers()
                case "/large":
                    self.answer(200, b"x" * 100_000)
                case "/never":
                    released.wait(30)
                case _:
                    self.answer(200, body)

    with serving(Handler) as url:
        yield Server(int(url.rpartition(":")[2]), requests)
        released.set()


class Secure(NamedTuple):
    """A TLS server for `hooks.test` on 127.0.0.1 and 127.0.0.3."""

    port: int
    tls: ssl.SSLContext
    reached: list[str]
    """The addresses at which requests arrived."""

    @property
    def url(self) -> str:
        return f"https://hooks.test:{self.port}/"

    @property
    def network(self) -> str:
        return f"127.0.0.1/32:{self.port}"


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncGenerator[Secure]:
    reached: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            reached.append(writer.get_extra_info("sockname")[0])
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        finally:
            writer.close()

    authority = Authority(tmp_path, "tests")
    tls = authority.server("hooks.test")
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls) as first:
        port = first.sockets[0].getsockname()[1]
        async with await asyncio.start_server(answer, "127.0.0.3", port, ssl=tls):
            trusted = ssl.create_default_context(cafile=str(authority.ca_file))
            yield Secure(port, trusted, reached)


@asynccontextmanager
async def opened(
    *allowed: str, resolve: Resolve | None = None, verify: ssl.SSLContext | None = None
) -> AsyncGenerator[GuardedClient]:
    client = GuardedClient(Destinations(allowed), resolve=resolve, verify=verify)
    try:
        yield client
    finally:
        await client.close()


async def post(client: GuardedClient, url: str, **options: object) -> Answer:
    given = {"within": _LONG, "most_bytes": 1_000, "content": b"hello", **options}
    return await client.send("POST", url, **given)  # type: ignore[arg-type]


async def test_an_allowed_host_receives_the_request(server: Server) -> None:
    async with opened(f"127.0.0.1:{server.port}") as client:
        answer = await post(client, f"http://127.0.0.1:{server.port}/echo", headers={"x-a": "b"})
    assert (answer.status, answer.body, answer.is_cut) == (200, b"hello", False)
    assert server.requests[0].headers["x-a"] == "b"


async def test_a_host_that_is_not_allowed_receives_nothing(server: Server) -> None:
    async with opened() as client:
        for url in (f"http://127.0.0.1:{server.port}/", f"https://localhost:{server.port}/"):
            with pytest.raises(DestinationRefused):
                await post(client, url)
    assert server.requests == []


@pytest.mark.parametrize("host", ("2130706433", "0x7f000001", "017700000001", "127.1"))
async def test_other_spellings_of_loopback_are_refused_after_the_look_up(host: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return [socket.inet_ntoa(socket.inet_aton(host))]  # as the system does

    async with opened(resolve=resolve) as client:
        with pytest.raises(DestinationRefused):
            await post(client, f"https://{host}/")


async def test_the_system_is_asked_for_the_addresses_of_a_name() -> None:
    async with opened() as client:
        with pytest.raises(DestinationRefused):
            await post(client, "https://localhost/")


async def test_names_that_do_not_answer_delay_no_other_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = Event()

    def never(*_: object, **__: object) -> list[object]:
        answered.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", never)
    async with opened() as client:
        urls = [f"https://name{n}.example/" for n in range(64)]
        requests = [asyncio.create_task(post(client, url)) for url in urls]
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(20):
                assert await asyncio.to_thread(lambda: "done") == "done"
        finally:
            answered.set()
            await asyncio.gather(*requests, return_exceptions=True)


async def test_every_address_of_a_name_is_checked(secure: Secure) -> None:
    names = Names(["127.0.0.3"], ["127.0.0.1", "127.0.0.3"], ["127.0.0.3", "127.0.0.1"])
    async with opened(secure.network, resolve=names, verify=secure.tls) as client:
        for _ in range(3):
            with pytest.raises(DestinationRefused):
                await post(client, secure.url)
    assert secure.reached == []


async def test_a_name_that_changes_its_address_is_checked_at_each_connection(
    secure: Secure,
) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.3"])
    async with opened(secure.network, resolve=names, verify=secure.tls) as client:
        assert (await post(client, secure.url)).status == 204
        with pytest.raises(DestinationRefused):
            await post(client, secure.url)
    assert secure.reached == ["127.0.0.1"]
    assert names.asked == ["hooks.test"] * 2


async def test_the_next_address_is_used_if_the_first_does_not_answer(secure: Secure) -> None:
    names = Names(["127.0.0.2", "127.0.0.1"])
    networks = ("127.0.0.2/31", "127.0.0.1/32")
    allowed = [f"{network}:{secure.port}" for network in networks]
    async with opened(*allowed, resolve=names, verify=secure.tls) as client:
        assert (await post(client, secure.url)).status == 204
    assert secure.reached == ["127.0.0.1"]


async def test_tls_verifies_the_name_and_not_the_address(secure: Secure) -> None:
    names = Names(["127.0.0.1"])
    async with opened(secure.network, resolve=names, verify=secure.tls) as client:
        with pytest.raises(httpx2.ConnectError):
            await post(client, f"https://other.test:{secure.port}/")


async def test_a_redirect_is_the_answer_and_is_not_followed(server: Server) -> None:
    async with opened(f"127.0.0.1:{server.port}") as client:
        answer = await post(client, f"http://127.0.0.1:{server.port}/elsewhere")
    assert (answer.status, len(server.requests)) == (307, 1)


async def test_an_answer_is_read_up_to_the_limit(server: Server) -> None:
    async with opened(f"127.0.0.1:{server.port}") as client:
        answer = await post(client, f"http://127.0.0.1:{server.port}/large")
    assert (len(answer.body), answer.is_cut) == (1_000, True)
    assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_the_time_covers_the_whole_exchange(server: Server) -> None:
    async with opened(f"127.0.0.1:{server.port}") as client:
        with pytest.raises(TimeoutError):
            await post(
                client,
                f"http://127.0.0.1:{server.port}/never",
                within=timedelta(milliseconds=50),
            )


async def test_proxies_of_the_environment_are_not_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with opened(f"127.0.0.1:{server.port}") as client:
        assert (await post(client, f"http://127.0.0.1:{server.port}/echo")).status == 200


async def test_a_name_that_does_not_exist_is_a_failure_of_the_request() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    async with opened(resolve=resolve) as client:
        with pytest.raises(httpx2.ConnectError):
            await post(client, "https://hooks.test/")


async def test_a_host_that_refuses_the_connection_is_a_failure_of_the_request(
    server: Server,
) -> None:
    async with opened("127.0.0.1:1") as client:
        with pytest.raises(httpx2.ConnectError):
            await post(client, "http://127.0.0.1:1/")
