"""Workers at a Redis that refuses writes for a while, and at one that they share with others."""

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.worker.test_worker import REQUEST, service, worker
from tests.support.deployment import sometime
from tests.support.loading_redis import LoadingRedis
from tests.support.redis_states import REFUSING, admin, recover
from tests.support.service import example, until
from tests.support.services import Valkey, valkey

from teamrun.core.refs import RunRef
from teamrun.dispatch.celery import CeleryDispatcher
from teamrun.runs.service.resources import Event
from teamrun.storage.address import key_prefix, store_namespace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

WITHIN = timedelta(seconds=50)
RUNS = 6
ENOUGH = 5


def refused(server: Valkey, state: str) -> int:
    """How many commands the server has refused for this reason."""
    found = admin(server, "INFO", "errorstats").get(f"errorstat_{state}", {"count": 0})
    return int(found["count"])


@pytest.mark.parametrize("state", REFUSING)
async def test_a_worker_outlasts_a_redis_that_refuses_writes(tmp_path: Path, state: str) -> None:
    example(tmp_path / "example", latency_ms=0)
    with valkey() as server:
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


async def test_a_worker_that_starts_while_redis_loads_its_data_waits_and_continues(
    tmp_path: Path,
) -> None:
    example(tmp_path / "example", latency_ms=0)
    with valkey() as server:
        async with LoadingRedis(server) as loading, service(tmp_path, server) as runs:
            with worker(tmp_path, loading.url, TEAMRUN_LEASE_SECONDS="1") as process:
                await sometime(
                    lambda: loading.refused >= ENOUGH or process.poll() is not None,
                    "the worker has been refused several times",
                )
                assert process.poll() is None
                run_id = (await runs.submit("default", REQUEST)).run.id
                loading.loaded()
                run = await runs.wait("default", run_id, timeout=WITHIN)
                assert run.status == "completed"
                assert process.poll() is None


async def test_two_deployments_in_one_redis_do_not_take_each_others_runs(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        example(folder / "example", latency_ms=0)

    with valkey() as server:
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


async def test_a_worker_with_a_lasting_name_takes_up_its_runs_at_once_after_kill_9(
    tmp_path: Path,
) -> None:
    example(tmp_path / "example", latency_ms=500)
    name = {"TEAMRUN_WORKER_NAME": "one"}
    with valkey() as server:
        async with service(tmp_path, server) as runs:
            with worker(tmp_path, server.url, **name) as first:
                run_id = (await runs.submit("default", REQUEST)).run.id
                async for event in runs.follow("default", run_id):
                    if isinstance(event, Event) and event.type == "run.started":
                        break
                first.kill()
                await asyncio.to_thread(first.wait, 30)
            with worker(tmp_path, server.url, **name):
                # WITHIN is less than a lease.
                assert (await runs.wait("default", run_id, timeout=WITHIN)).status == "completed"


async def test_a_run_submitted_before_redis_is_up_begins_when_it_is(tmp_path: Path) -> None:
    example(tmp_path / "example", latency_ms=0)
    with valkey() as server:
        server.kill()
        async with service(tmp_path, server) as runs:
            run_id = (await runs.submit("default", REQUEST)).run.id
            with worker(tmp_path, server.url):
                server.start()
                assert (await runs.wait("default", run_id, timeout=WITHIN)).status == "completed"


async def test_a_worker_warns_of_a_run_that_its_store_lacks_and_logs_json_alone(
    tmp_path: Path,
) -> None:
    example(tmp_path / "example", latency_ms=0)
    with valkey() as server:
        url = (tmp_path / "store").as_uri()
        queue = CeleryDispatcher(server.url, prefix=key_prefix(store_namespace(url)))
        await queue.send([RunRef("default", "run_of_others")])
        await queue.close()
        with worker(tmp_path, server.url, TEAMRUN_MAX_RUN="1") as process:
            lines: list[dict[str, str]] = []
            assert process.stderr is not None
            for line in process.stderr:
                lines.append(json.loads(line))
                if lines[-1].get("action") == "executor.run_absent":
                    process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
    actions = [line.get("action") for line in lines]
    assert {"settings.variable_unknown", "executor.run_absent"} <= set(actions)
    assert (
        next(line for line in lines if line.get("action") == "executor.run_absent")["level"]
        == "warning"
    )
