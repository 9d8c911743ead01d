"""Workers at a Redis that refuses writes for a while, and at one that they share with others."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.worker.test_worker import REQUEST, service, worker
from tests.support.deployment import sometime
from tests.support.redis_states import REFUSING, admin, recover
from tests.support.service import example, until
from tests.support.services import Valkey, valkey

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

WITHIN = timedelta(seconds=50)
RUNS = 6
ENOUGH = 5


def refused(server: Valkey, state: str) -> int:
    """How many commands the server has refused for this reason."""
    found = admin(server, "INFO", "errorstats").get(f"errorstat_{state}", {"count": 0})
    return int(found["count"])


@pytest.mark.parametrize("state", REFUSING)
def test_a_worker_outlasts_a_redis_that_refuses_writes(tmp_path: Path, state: str) -> None:
    example(tmp_path / "example", latency_ms=0)

    async def go(server: Valkey) -> None:
        async with service(tmp_path, server) as runs:
            with worker(tmp_path, server.url, TEAMRUN_LEASE_SECONDS="1") as process:
                await asyncio.to_thread(until, (tmp_path / "alive").exists, "it consumes")
                REFUSING[state](server)
                during = (await runs.submit("default", REQUEST)).run.id
                await sometime(
                    lambda: refused(server, state) >= ENOUGH or process.poll() is not None,
                    "the worker has been refused several times",
                )
                assert process.poll() is None
                recover(server)
                after = (await runs.submit("default", REQUEST)).run.id
                for run_id in (during, after):
                    run = await runs.wait("default", run_id, timeout=WITHIN)
                    assert run.status == "completed"
                assert process.poll() is None

    with valkey() as server:
        asyncio.run(go(server))


def test_two_deployments_in_one_redis_do_not_take_each_others_runs(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        example(folder / "example", latency_ms=0)

    async def go(server: Valkey) -> None:
        async with AsyncExitStack() as stack:
            services = [
                await stack.enter_async_context(service(folder, server)) for folder in folders
            ]
            for folder in folders:
                stack.enter_context(worker(folder, server.url))
            submitted = [
                (runs, (await runs.submit("default", REQUEST)).run.id) for runs in services * RUNS
            ]
            for runs, run_id in submitted:
                run = await runs.wait("default", run_id, timeout=WITHIN)
                assert (run.status, run.attempt) == ("completed", 1)
            prefixes = {key.rsplit(b":", 1)[0].split(b":")[1] for key in admin(server, "KEYS", "*")}
            assert len(prefixes) == len(folders)
            assert all(key.startswith(b"teamrun:") for key in admin(server, "KEYS", "*"))

    with valkey() as server:
        asyncio.run(go(server))
