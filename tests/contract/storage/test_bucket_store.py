"""Stores in buckets: faults of the network, and servers that do not honour conditions."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from obstore import exceptions
from tests.support.api import world
from tests.support.services import moto

from teamrun.errors import NotFound, StorageError, Unavailable
from teamrun.storage.bucket import map_bucket_error
from teamrun.storage.open import open_store


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@contextmanager
def _server(answers: dict[str, int]) -> Generator[str, None, None]:
    """Answers each method with its status, and an empty body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(answers.get(self.command, 200))
            self.send_header("content-length", "0")
            self.send_header("etag", '"1"')
            self.send_header("last-modified", "Sat, 21 Nov 2026 00:00:00 GMT")
            self.end_headers()

        do_PUT = do_GET = do_HEAD = do_DELETE = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"s3://bucket/x?endpoint=http://127.0.0.1:{server.server_port}&region=us-east-1"
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


@pytest.mark.integration
def test_a_server_that_is_gone_is_unavailable_for_every_call() -> None:
    async def body(url: str) -> None:
        store = open_store(url)
        for call in (
            store.put_new("a", b"x"),
            store.put("a", b"x"),
            store.get("a"),
            store.get_many(["a", "b"]),
            store.list(""),
            store.delete("a"),
            store.check(),
        ):
            with pytest.raises(Unavailable) as caught:
                await call
            assert caught.value.__cause__ is not None
        await store.close()

    with moto() as server:
        url = server.url("bucket")
        server.kill()
        asyncio.run(body(url))


def test_a_failing_server_is_unavailable() -> None:
    async def body(url: str) -> None:
        store = open_store(url)
        with pytest.raises(Unavailable):
            await store.put_new("a", b"x")
        await store.close()

    with _server({"PUT": 503}) as url:
        asyncio.run(body(url))


def test_a_server_that_ignores_the_condition_is_refused() -> None:
    async def body(url: str) -> None:
        store = open_store(url)
        with pytest.raises(StorageError, match="If-None-Match") as caught:
            await store.check()
        assert caught.value.code == "storage"
        await store.close()

    with _server({}) as url:
        asyncio.run(body(url))


def test_two_creations_that_meet_are_not_taken_for_an_object_that_exists() -> None:
    async def body(url: str) -> None:
        store = open_store(url)
        with pytest.raises(Unavailable, match="under way"):
            await store.put_new("a", b"x")
        await store.close()

    with _server({"PUT": 409, "HEAD": 404}) as url:
        asyncio.run(body(url))


def test_an_object_that_exists_is_said_to_exist() -> None:
    async def body(url: str) -> bool:
        store = open_store(url)
        try:
            return await store.put_new("a", b"x")
        finally:
            await store.close()

    with _server({"PUT": 412, "HEAD": 200}) as url:
        assert asyncio.run(body(url)) is False


def test_credentials_that_are_refused_are_no_passing_fault() -> None:
    async def body(url: str) -> None:
        store = open_store(url)
        with pytest.raises(StorageError) as caught:
            await store.put_new("a", b"x")
        assert caught.value.code == "storage"
        await store.close()

    with _server({"PUT": 403}) as url:
        asyncio.run(body(url))


@pytest.mark.integration
def test_a_bucket_that_does_not_exist_is_refused(bucket_url: str) -> None:
    async def body() -> None:
        store = open_store(bucket_url.replace("bucket-", "absent-"))
        with pytest.raises(StorageError, match="create it first") as caught:
            await store.check()
        assert caught.value.code == "storage"
        # A missing bucket is not a missing object: a run must not be reported as not found.
        for call in (
            store.get("a"),
            store.get_many(["a"]),
            store.put("a", b""),
            store.put_new("a", b""),
            store.list("a/"),
        ):
            with pytest.raises(StorageError, match="create it first") as caught:
                await call
            assert caught.value.code == "storage"
        await store.close()

    asyncio.run(body())


@pytest.mark.integration
@pytest.mark.parametrize("status", [403, 404])
def test_a_bucket_that_refuses_or_is_gone_is_503_for_every_request(
    status: int, bucket_url: str
) -> None:
    async def ask(url: str) -> None:
        async with world(open_store(url)) as w:
            submit = {"team": "writers", "input": "Go"}
            for answer in (
                await w.client.post("/v1/runs", json=submit),
                await w.client.get("/v1/runs"),
                await w.client.get("/v1/runs/run_1"),
                await w.client.get("/v1/runs/run_1/events"),
                await w.client.post("/v1/runs/run_1/cancel"),
            ):
                assert answer.status_code == 503, answer.text
                assert answer.headers["retry-after"] == "1"
                assert "127.0.0.1" not in answer.text

    if status == 404:
        asyncio.run(ask(bucket_url.replace("bucket-", "absent-")))
    else:
        with _server({"PUT": 403, "GET": 403, "HEAD": 403}) as url:
            asyncio.run(ask(url))


@pytest.mark.integration
def test_two_prefixes_of_a_bucket_do_not_see_each_other(bucket_url: str) -> None:
    async def body() -> None:
        one, two = open_store(bucket_url), open_store(bucket_url.replace("folder", "other"))
        assert await one.put_new("a", b"1") is True
        assert await two.put_new("a", b"2") is True
        assert await one.list("") == ["a"]
        assert await one.get("a") == b"1"
        await one.close()
        await two.close()

    asyncio.run(body())


@pytest.mark.integration
def test_a_process_ends_well_right_after_using_a_bucket(bucket_url: str) -> None:
    program = (
        "import asyncio, sys\n"
        "from teamrun.storage.open import open_store\n"
        "async def main():\n"
        "    store = open_store(sys.argv[1])\n"
        "    await asyncio.gather(*(store.put_new(f'k/{n}', b'x') for n in range(20)))\n"
        "    await store.list('k/')\n"
        "asyncio.run(main())\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", program, bucket_url], env=environ, timeout=50, check=False
        )
        assert done.returncode == 0


def _all_exceptions() -> list[type[Exception]]:
    found = [getattr(exceptions, name) for name in dir(exceptions)]
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)]


def test_no_exception_of_obstore_is_left_unmapped() -> None:
    names = {kind.__name__ for kind in _all_exceptions()}
    assert {"GenericError", "PermissionDeniedError", "InvalidPathError"} <= names
    for kind in (*_all_exceptions(), ValueError, TimeoutError, ConnectionError):
        mapped = map_bucket_error(kind("oh: https://host/key?sig=secret\nDebug"), "cannot read 'a'")
        assert isinstance(mapped, StorageError)
        assert "secret" not in mapped.message
    assert type(map_bucket_error(FileNotFoundError("x"), "y")) is NotFound
    assert type(map_bucket_error(exceptions.GenericError("x"), "y")) is Unavailable
    assert type(map_bucket_error(exceptions.UnauthenticatedError("x"), "y")) is StorageError
