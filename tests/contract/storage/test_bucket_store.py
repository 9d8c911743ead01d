"""Stores in buckets: faults of the network, and servers that do not honour conditions."""

import os
import subprocess
import sys
from collections.abc import Coroutine, Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from obstore import exceptions
from tests.support.api import world
from tests.support.aws_faults import Fault, aws_faults
from tests.support.proxies import FaultyProxy, Rates
from tests.support.services import moto

from teamrun.errors import NotFound, StorageError, Unavailable, UnusableStore
from teamrun.storage.bucket import map_bucket_error
from teamrun.storage.open import open_store


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@contextmanager
def _server(answers: dict[str, int], *, honest: bool = False) -> Generator[str, None, None]:
    """Answers each method with its status, and an empty body; `honest` stores probes.

    `READ` is a GET of an object, even of a probe.
    """
    stored: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(self.status())
            self.send_header("content-length", "1" if self.is_probe() else "0")
            self.send_header("etag", '"1"')
            self.send_header("last-modified", "Sat, 21 Nov 2026 00:00:00 GMT")
            self.end_headers()
            if self.is_probe():
                self.wfile.write(b"1")

        def is_probe(self) -> bool:
            return honest and "/probe/" in self.path and self.command == "GET"

        def status(self) -> int:
            if "READ" in answers and self.command == "GET" and "list-type" not in self.path:
                return answers["READ"]
            if not honest or "/probe/" not in self.path:
                return answers.get(self.command, 200)
            taken = self.command == "PUT" and self.path in stored
            stored.add(self.path)
            return 412 if taken else 200

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
async def test_a_server_that_is_gone_is_unavailable_for_every_call() -> None:
    with moto() as server:
        url = server.url("bucket")
        server.kill()
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


async def test_a_failing_server_is_unavailable() -> None:
    with _server({"PUT": 503}) as url:
        store = open_store(url)
        with pytest.raises(Unavailable):
            await store.put_new("a", b"x")
        await store.close()


async def test_a_server_that_ignores_the_condition_is_refused() -> None:
    with _server({}) as url:
        store = open_store(url)
        with pytest.raises(UnusableStore) as caught:
            await store.check()
        assert caught.value.code == "unusable_store"
        await store.close()


async def test_a_server_that_ignores_the_condition_is_not_written_to_even_without_a_check() -> None:
    with _server({}) as url:
        store = open_store(url)
        for _ in range(2):
            with pytest.raises(UnusableStore):
                await store.put_new("a", b"x")
        await store.close()


@pytest.mark.integration
async def test_a_server_whose_answers_are_lost_is_not_one_that_ignores_the_condition() -> None:
    with moto() as server:
        server.make_bucket("runs")
        endpoint = server.endpoint
        async with FaultyProxy(endpoint, Rates(lost=0.3)) as proxy:
            for _ in range(20):
                store = open_store(f"s3://runs/x?endpoint={proxy.endpoint}&region=us-east-1")
                with suppress(Unavailable):
                    await store.check()
                await store.close()
            assert proxy.counts["lost"] > 10


async def test_two_creations_that_meet_are_not_taken_for_an_object_that_exists() -> None:
    with _server({"PUT": 409, "HEAD": 404}, honest=True) as url:
        store = open_store(url)
        with pytest.raises(Unavailable):
            await store.put_new("a", b"x")
        await store.close()


async def test_an_existing_object_is_reported_as_existing() -> None:
    with _server({"PUT": 412, "HEAD": 200}, honest=True) as url:
        store = open_store(url)
        try:
            assert await store.put_new("a", b"x") is False
        finally:
            await store.close()


async def test_credentials_that_are_refused_are_no_passing_fault() -> None:
    with _server({"PUT": 403}) as url:
        store = open_store(url)
        with pytest.raises(StorageError) as caught:
            await store.put_new("a", b"x")
        assert caught.value.code == "storage"
        await store.close()


async def test_a_check_finds_that_a_right_to_read_is_gone() -> None:
    answers = dict[str, int]()
    with _server(answers, honest=True) as url:
        store = open_store(url)
        await store.check()
        answers["READ"] = 404
        await store.check()
        answers["READ"] = 403
        with pytest.raises(StorageError, match="s3:GetObject"):
            await store.check()
        await store.close()


@pytest.mark.integration
async def test_a_bucket_that_does_not_exist_is_refused(bucket_url: str) -> None:
    store = open_store(bucket_url.replace("bucket-", "absent-"))
    with pytest.raises(UnusableStore) as caught:
        await store.check()
    assert caught.value.code == "unusable_store"
    # A missing bucket is not a missing object: a run must not be reported as not found.
    for call in (
        store.get("a"),
        store.get_many(["a"]),
        store.put("a", b""),
        store.put_new("a", b""),
        store.list("a/"),
    ):
        with pytest.raises(UnusableStore) as caught:
            await call
        assert caught.value.code == "unusable_store"
    await store.close()


@pytest.mark.integration
@pytest.mark.parametrize("status", [403, 404])
async def test_a_bucket_that_refuses_or_is_gone_is_503_for_every_request(
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
        await ask(bucket_url.replace("bucket-", "absent-"))
    else:
        with _server({"PUT": 403, "GET": 403, "HEAD": 403}) as url:
            await ask(url)


@pytest.mark.integration
async def test_two_prefixes_of_a_bucket_do_not_see_each_other(bucket_url: str) -> None:
    one, two = open_store(bucket_url), open_store(bucket_url.replace("folder", "other"))
    assert await one.put_new("a", b"1") is True
    assert await two.put_new("a", b"2") is True
    assert await one.list("") == ["a"]
    assert await one.get("a") == b"1"
    await one.close()
    await two.close()


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


@pytest.mark.integration
@pytest.mark.parametrize("by", ["variable", "profile"])
async def test_an_endpoint_with_http_and_a_profile_reach_the_bucket(
    bucket_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    address, _, query = bucket_url.partition("?")
    endpoint = dict(part.split("=", 1) for part in query.split("&"))["endpoint"]
    (tmp_path / "credentials").write_text(
        "[dev]\naws_access_key_id = test\naws_secret_access_key = test\n", encoding="utf-8"
    )
    lines = [f"endpoint_url = {endpoint}"] if by == "profile" else []
    config = "\n".join(["[profile dev]", "region = us-east-1", *lines])
    (tmp_path / "config").write_text(config, encoding="utf-8")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "dev")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    if by == "variable":
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    store = open_store(address)
    await store.check()
    assert await store.put_new("a", b"x")
    await store.close()


async def test_deletions_that_are_refused_name_every_key() -> None:
    with _server({"POST": 501, "DELETE": 403}) as url:
        store = open_store(url)
        with pytest.raises(StorageError) as caught:
            await store.delete_many(["a", "b", "c"])
        assert caught.value.code == "storage"
        assert sorted(caught.value.data["keys"]) == ["a", "b", "c"]
        await store.close()


async def test_a_server_without_deletion_of_many_gets_one_request_for_each() -> None:
    with _server({"POST": 501, "DELETE": 204}) as url:
        store = open_store(url)
        await store.delete_many(["a", "b", "c"])
        await store.close()


_REFUSED = b"<Error><Code>%s</Code><Message>The reason: canary.</Message></Error>"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("status", "code", "kind", "mentions"),
    [
        (403, b"AccessDenied", StorageError, "the bucket 'runs' was denied .*s3:{}"),
        (403, b"InvalidAccessKeyId", StorageError, "Check the credentials"),
        (400, b"ExpiredToken", Unavailable, "the bucket 'runs' have expired"),
    ],
)
async def test_a_refusal_says_what_and_where_and_which_right_is_missing(
    status: int, code: bytes, kind: type[StorageError], mentions: str
) -> None:
    with moto() as server, aws_faults(server.endpoint) as faults:
        server.make_bucket("runs")
        store = open_store(f"s3://runs?endpoint={faults.endpoint}&region=us-east-1")
        await store.put_new("a/x", b"1")
        faults.always = dict.fromkeys(("PUT", "GET", "DELETE"), Fault(status, _REFUSED % code))
        requests: dict[str, Coroutine[Any, Any, object]] = {
            "PutObject": store.put_new("a/y", b"1"),
            "GetObject": store.get("a/x"),
            "ListBucket": store.list("a/"),
            "DeleteObject": store.delete("a/x"),
        }
        for right, request in requests.items():
            with pytest.raises(StorageError, match=mentions.format(right)) as caught:
                await request
            assert type(caught.value) is kind
            assert "canary" not in caught.value.message
        await store.close()
