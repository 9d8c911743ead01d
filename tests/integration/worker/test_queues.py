"""Named queues and messages of several runs: `python -m teamrun_worker` with a real Valkey."""

import asyncio
import json
import signal
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.integration.worker.test_worker import REQUEST, WITHIN, service, worker
from tests.support.service import example
from tests.support.services import Valkey, valkey

from teamrun.core.refs import RunRef
from teamrun.dispatch.celery import OLD_QUEUE, CeleryDispatcher, encode_message
from teamrun.dispatch.queues import MAX_REFS_PER_MESSAGE, Queue
from teamrun.redis.pipe import RedisPipe
from teamrun.runs.service.resources import Run
from teamrun.runs.service.service import RunService
from teamrun.storage.address import key_prefix, store_namespace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

BATCH = 200
INTERACTIVE = 30

QUIET = {"TEAMRUN_LOG_LEVEL": "warning"}
"""The log of many runs would fill the pipe of stderr, which nothing reads here."""


def _prefix(folder: Path) -> str:
    return key_prefix(store_namespace((folder / "store").as_uri()))


@asynccontextmanager
async def _queue(folder: Path, server: Valkey) -> AsyncGenerator[CeleryDispatcher]:
    queue = CeleryDispatcher(server.url, prefix=_prefix(folder))
    try:
        yield queue
    finally:
        await queue.close()


@asynccontextmanager
async def _pipe(server: Valkey) -> AsyncGenerator[RedisPipe]:
    pipe = RedisPipe(server.url)
    try:
        yield pipe
    finally:
        await pipe.close()


async def _accepted(runs: RunService, count: int, folder: Path, server: Valkey) -> list[RunRef]:
    """Runs whose messages were lost."""
    found = [
        RunRef("default", (await runs.submit("default", REQUEST)).run.id) for _ in range(count)
    ]
    async with _pipe(server) as pipe:
        await pipe.call(b"DEL", f"{_prefix(folder)}{Queue.INTERACTIVE}")
    return found


async def _completed(runs: RunService, refs: list[RunRef]) -> list[Run]:
    found = [await runs.wait(ref.tenant, ref.run_id, timeout=WITHIN) for ref in refs]
    assert {run.status for run in found} == {"completed"}
    return found


def _started(run: Run) -> datetime:
    assert run.started_at is not None
    return run.started_at


async def test_interactive_runs_do_not_wait_behind_a_long_batch(tmp_path: Path) -> None:
    example(tmp_path / "example", latency_ms=3)
    with valkey() as server:
        async with service(tmp_path, server) as runs, _queue(tmp_path, server) as queue:
            batch = await _accepted(runs, BATCH, tmp_path, server)
            urgent = await _accepted(runs, INTERACTIVE, tmp_path, server)
            await queue.send(batch, queue=Queue.BATCH)
            with worker(tmp_path, server.url, TEAMRUN_MAX_RUNS="2", TEAMRUN_THREADS="2", **QUIET):
                # The worker is full of the batch, and has taken further messages of it.
                await runs.wait("default", batch[10].run_id, timeout=WITHIN)
                sent_at = datetime.now(UTC)
                for ref in urgent:
                    await queue.send([ref])
                last = max(map(_started, await _completed(runs, urgent)))
                starts = [*map(_started, await _completed(runs, batch))]
    before = [start for start in starts if sent_at < start < last]
    after = [start for start in starts if start > last]
    # Each thread may have taken a message of the batch already, and one more was on its way.
    assert len(before) < INTERACTIVE / 2  # in turn, it would be as many as the interactive ones
    assert len(after) > BATCH / 2


async def test_a_worker_consumes_only_the_queues_of_its_setting(tmp_path: Path) -> None:
    example(tmp_path / "example", latency_ms=0)
    with valkey() as server:
        async with service(tmp_path, server) as runs, _queue(tmp_path, server) as queue:
            left, *taken = await _accepted(runs, 3, tmp_path, server)
            await queue.send([left])
            await queue.send(taken, queue=Queue.BATCH)
            with worker(tmp_path, server.url, TEAMRUN_QUEUES="batch"):
                await _completed(runs, taken)
                assert await queue.depths() == {"interactive": 1, "batch": 0}
            assert (await runs.get("default", left.run_id)).status == "queued"
            with worker(tmp_path, server.url, TEAMRUN_QUEUES="interactive , batch"):
                await _completed(runs, [left])


def _old_message(ref: RunRef) -> bytes:
    """What the release before the named queues wrote."""
    body = json.dumps([[str(ref)], {}, dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))])
    return json.dumps(
        {
            "body": b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                "lang": "py",
                "task": "teamrun.execute",
                "id": ref.run_id,
                "root_id": ref.run_id,
                "parent_id": None,
                "group": None,
                "shadow": None,
                "eta": None,
                "expires": None,
                "retries": 0,
                "timelimit": [None, None],
                "argsrepr": f"('{ref}',)",
                "kwargsrepr": "{}",
                "origin": "teamrun@before",
                "ignore_result": True,
            },
            "properties": {
                "correlation_id": ref.run_id,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": "teamrun"},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": ref.run_id,
            },
        }
    ).encode()


async def test_messages_of_the_release_before_are_executed_after_an_upgrade(
    tmp_path: Path,
) -> None:
    example(tmp_path / "example", latency_ms=0)
    with valkey() as server:
        async with (
            service(tmp_path, server) as runs,
            _queue(tmp_path, server) as queue,
            _pipe(server) as pipe,
        ):
            refs = await _accepted(runs, 3, tmp_path, server)
            await pipe.call(b"LPUSH", f"{_prefix(tmp_path)}teamrun", *map(_old_message, refs))
            assert (await queue.depths())[OLD_QUEUE] == 3
            with worker(tmp_path, server.url):
                await _completed(runs, refs)
            assert OLD_QUEUE not in await queue.depths()


async def test_a_message_that_outlives_its_worker_executes_only_what_has_not_ended(
    tmp_path: Path,
) -> None:
    # So slow that the first worker cannot complete them all.
    example(tmp_path / "example", latency_ms=200)
    with valkey() as server:
        async with service(tmp_path, server) as runs, _queue(tmp_path, server) as queue:
            refs = await _accepted(runs, MAX_REFS_PER_MESSAGE, tmp_path, server)
            await queue.send(refs, queue=Queue.BATCH)
            with worker(
                tmp_path, server.url, TEAMRUN_MAX_RUNS="4", TEAMRUN_LEASE_SECONDS="1", **QUIET
            ) as first:
                await runs.wait("default", refs[0].run_id, timeout=WITHIN)
                first.send_signal(signal.SIGKILL)
                await asyncio.to_thread(first.wait, 30)
            before = [await runs.get("default", ref.run_id) for ref in refs]
            await queue.send(refs, queue=Queue.BATCH)  # the same message once more
            with worker(tmp_path, server.url, TEAMRUN_LEASE_SECONDS="1", **QUIET):
                after = await _completed(runs, refs)
    ended = [run for run in before if run.status == "completed"]
    assert ended
    assert len(ended) < len(refs)
    for run, old in zip(after, before, strict=True):
        assert run == old or old.status != "completed"


def _bad_items() -> list[bytes]:
    """Items that ended a worker, among them some that it put back at its end."""
    good = json.loads(encode_message([RunRef("default", "run_1")]))
    properties, headers = good["properties"], good["headers"]
    changed: list[dict[str, Any]] = [
        {"body": "!!!"},
        {"body": None},
        {"body": b64encode(b"[1]").decode()},
        {"headers": {**headers, "timelimit": "x"}},
        {"headers": [1]},
        {"headers": {}},
        {"properties": []},
        {"properties": {**properties, "delivery_tag": None}},
        {"properties": {**properties, "delivery_info": 5}},
        {"properties": {**properties, "body_encoding": "rot"}},
        {"properties": {**properties, "delivery_tag": "\ud800"}},
        {"properties": {**properties, "delivery_info": {}}},
        {"headers": {**headers, "lang": {"__type__": "uuid", "__value__": 5}}},
        {"headers": {**headers, "lang": {"__type__": [], "__value__": 5}}},
        {"headers": {**headers, "stamped_headers": 5}},
        {"headers": {**headers, "stamped_headers": [[1]]}},
        {"headers": {**headers, "eta": ""}},
        {"content-type": ""},
        {"content-type": "application/text"},
        {"content-type": "application/data", "content-encoding": "binary"},
    ]
    texts = [json.dumps({**good, **change}).encode() for change in changed]
    return [*texts, b"hello", b"\xff\xfe", b"5", b"[]", b"null", b"", b"[" * 100_000]


@pytest.mark.parametrize("name", [Queue.INTERACTIVE, OLD_QUEUE])
async def test_malformed_messages_are_dropped_and_the_worker_goes_on(
    tmp_path: Path, name: str
) -> None:
    example(tmp_path / "example", latency_ms=0)
    with valkey() as server:
        async with (
            service(tmp_path, server) as runs,
            _queue(tmp_path, server) as queue,
            _pipe(server) as pipe,
        ):
            [ref] = await _accepted(runs, 1, tmp_path, server)
            with worker(tmp_path, server.url) as process:
                for item in _bad_items():
                    await pipe.call(b"LPUSH", f"{_prefix(tmp_path)}{name}", item)
                await queue.send([ref])
                await _completed(runs, [ref])
                assert process.poll() is None
                # What is left here would be put back into the list when the worker ends.
                assert await pipe.call(b"HLEN", f"{_prefix(tmp_path)}unacked") == 0
                process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(process.wait, 30) == 0
            assert not any((await queue.depths()).values())


async def test_a_busy_worker_takes_a_backlog_and_returns_it_when_it_is_stopped(
    tmp_path: Path,
) -> None:
    example(tmp_path / "example", latency_ms=20)
    quiet = {"TEAMRUN_LOG_LEVEL": "error", "TEAMRUN_GRACE_SECONDS": "10"}
    with valkey() as server:
        async with (
            service(tmp_path, server) as runs,
            _queue(tmp_path, server) as queue,
            _pipe(server) as pipe,
        ):
            refs = await _accepted(runs, 120, tmp_path, server)
            for ref, item in zip(refs, [*_bad_items(), *[None] * 120], strict=False):
                await queue.send([ref])
                if item is not None:
                    await pipe.call(b"LPUSH", f"{_prefix(tmp_path)}{Queue.INTERACTIVE}", item)
            with worker(tmp_path, server.url, TEAMRUN_MAX_RUNS="8", **quiet) as first:
                await runs.wait("default", refs[40].run_id, timeout=WITHIN)
                first.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(first.wait, 30) == 0
            before = [await runs.get("default", ref.run_id) for ref in refs]
            assert any(run.status != "completed" for run in before)
            # A lease is longer than the test, so the reaper sends nothing again meanwhile.
            with worker(tmp_path, server.url, **quiet):
                await _completed(runs, refs)
            assert not any((await queue.depths()).values())
