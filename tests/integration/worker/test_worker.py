"""`python -m teamrun_worker` with a real Valkey; runs are submitted without HTTP."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.careless_bucket import careless_bucket
from tests.support.service import example, until
from tests.support.services import Valkey, valkey

from teamrun.components.team_file import load_registry
from teamrun.dispatch.celery import CeleryDispatcher
from teamrun.dispatch.persistent import PersistentDispatcher
from teamrun.live.open import open_live
from teamrun.runs.service.requests import RunRequest
from teamrun.runs.service.resources import Event
from teamrun.runs.service.service import RunService
from teamrun.storage.address import key_prefix, store_namespace
from teamrun.storage.open import open_store

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

REQUEST = RunRequest(team="analysts", input="Which region sold most?")
WITHIN = timedelta(seconds=50)
"""Less than a lease: what needs a takeover does not pass."""


@contextmanager
def worker(folder: Path, redis_url: str, **settings: str) -> Generator["subprocess.Popen[str]"]:
    """A worker that ends with the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "teamrun_worker"],
        env={
            **os.environ,
            "TEAMRUN_CONFIG": str(folder / "example/teamrun.yaml"),
            "TEAMRUN_DATA_DIR": str(folder),
            "TEAMRUN_REDIS_URL": redis_url,
            "TEAMRUN_HEARTBEAT": str(folder / "alive"),
            **settings,
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def service(folder: Path, server: Valkey) -> AsyncGenerator[RunService]:
    registry = load_registry(folder / "example/teamrun.yaml", environ={})
    url = (folder / "store").as_uri()
    store, prefix = open_store(url), key_prefix(store_namespace(url))
    live = open_live(server.url, prefix=prefix)
    dispatcher = PersistentDispatcher(CeleryDispatcher(server.url, prefix=prefix))
    try:
        yield RunService(store=store, live=live, dispatcher=dispatcher, registry=registry)
    finally:
        for part in (registry, dispatcher, live, store):
            await part.close()


async def completed_within(runs: RunService, run_id: str) -> int:
    """How many times the run, which has completed, was begun or taken over."""
    run = await runs.wait("default", run_id, timeout=WITHIN)
    assert run.status == "completed"
    return run.epoch


async def test_sigterm_hands_a_run_over_to_the_next_worker(tmp_path: Path) -> None:
    example(tmp_path / "example", latency_ms=300)
    with valkey() as server:
        async with service(tmp_path, server) as runs:
            with worker(tmp_path, server.url) as first:
                run_id = (await runs.submit("default", REQUEST)).run.id
                async for event in runs.follow("default", run_id):
                    if isinstance(event, Event) and event.type == "tool.call.completed":
                        break
                first.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(first.wait, 30) == 0
            assert (await runs.get("default", run_id)).status == "queued"
            with worker(tmp_path, server.url):
                assert await completed_within(runs, run_id) == 2


async def test_a_worker_that_starts_before_redis_takes_runs_when_it_is_there(
    tmp_path: Path,
) -> None:
    example(tmp_path / "example", latency_ms=0)
    with valkey() as server:
        server.kill()
        async with service(tmp_path, server) as runs:
            with worker(tmp_path, server.url, TEAMRUN_LEASE_SECONDS="1"):
                run_id = (await runs.submit("default", REQUEST)).run.id
                server.start()
                assert await completed_within(runs, run_id) == 1


async def test_cancel_reaches_a_run_inside_a_model_call(tmp_path: Path) -> None:
    example(tmp_path / "example", latency_ms=60_000)
    with valkey() as server:
        async with service(tmp_path, server) as runs:
            with worker(tmp_path, server.url):
                run_id = (await runs.submit("default", REQUEST)).run.id
                async for event in runs.follow("default", run_id):
                    if isinstance(event, Event) and event.type == "turn.started":
                        break
                await runs.cancel("default", run_id)
                run = await runs.wait("default", run_id, timeout=WITHIN)
                assert run.status == "cancelled"


async def test_sigterm_gives_calls_up_that_outlast_the_grace_time(tmp_path: Path) -> None:
    example(tmp_path / "example", latency_ms=60_000)
    with valkey() as server:
        async with service(tmp_path, server) as runs:
            with worker(tmp_path, server.url, TEAMRUN_GRACE_SECONDS="0.1") as process:
                run_id = (await runs.submit("default", REQUEST)).run.id
                async for event in runs.follow("default", run_id):
                    if isinstance(event, Event) and event.type == "turn.started":
                        break
                process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(process.wait, 30) == 0


def test_the_heartbeat_begins_when_the_worker_consumes(tmp_path: Path) -> None:
    example(tmp_path / "example")
    with valkey() as server, worker(tmp_path, server.url):
        until((tmp_path / "alive").exists, "the heartbeat file is there")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"TEAMRUN_REDIS_URL": ""}, "TEAMRUN_REDIS_URL"),
        ({"TEAMRUN_MAX_RUNS": "many"}, "TEAMRUN_MAX_RUNS"),
        ({"TEAMRUN_CONFIG": "nowhere.yaml"}, "nowhere.yaml"),
        ({"TEAMRUN_STORE_URL": "ftp://x"}, "TEAMRUN_STORE_URL"),
    ],
)
def test_invalid_settings_end_it_with_2_and_are_named(
    tmp_path: Path, settings: dict[str, str], told: str
) -> None:
    example(tmp_path / "example")
    with worker(tmp_path, "redis://127.0.0.1:9/0", **settings) as process:
        _, words = process.communicate(timeout=60)

    assert process.returncode == 2
    assert told in words
    assert "Traceback" not in words


@pytest.mark.parametrize("fault", ["missing bucket", "no put-if-absent"])
def test_an_unusable_store_ends_it_with_2(tmp_path: Path, fault: str) -> None:
    example(tmp_path / "example")
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with (
        careless_bucket(missing=fault == "missing bucket") as url,
        worker(tmp_path, "redis://127.0.0.1:9/0", TEAMRUN_STORE_URL=url, **keys) as process,
    ):
        _, words = process.communicate(timeout=60)

    assert process.returncode == 2
    assert ("does not exist" if fault == "missing bucket" else "If-None-Match") in words
    assert "Traceback" not in words


LEAVERS = '''"""Tools that try to take their worker along."""

import asyncio
import sys


async def leave() -> str:
    """Leave."""
    sys.exit(3)


async def send_one_away() -> str:
    """Have a task leave."""

    async def inner() -> None:
        sys.exit(4)

    await asyncio.ensure_future(inner())
    return "never"


async def group() -> str:
    """Raise a group."""
    raise BaseExceptionGroup("all", [KeyboardInterrupt(), GeneratorExit()])


async def stop() -> str:
    """Stop the loop of the worker."""
    asyncio.get_running_loop().stop()
    await asyncio.sleep(60)
    return "never"
'''

LEAVING = """version: 1
models:
  main:
    type: scripted
    script:
      - tool_calls: [{name: TOOL, arguments: {}}]
      - DONE
tools:
  TOOL: {type: function, function: "leavers:TOOL"}
agents:
  a: {model: main, tools: [TOOL], reflect_on_tool_use: true}
teams:
  leavers:
    type: round_robin_group_chat
    agents: [a]
    max_turns: 1
"""


def leaving(folder: Path, tool: str) -> None:
    """A definition whose only tool leaves."""
    folder.mkdir()
    (folder / "leavers.py").write_text(LEAVERS, encoding="utf-8")
    (folder / "teamrun.yaml").write_text(LEAVING.replace("TOOL", tool), encoding="utf-8")


@pytest.mark.parametrize("tool", ["leave", "send_one_away", "group"])
async def test_a_tool_that_leaves_fails_alone_and_the_worker_continues(
    tmp_path: Path, tool: str
) -> None:
    leaving(tmp_path / "example", tool)
    with valkey() as server:
        async with service(tmp_path, server) as runs:
            with worker(tmp_path, server.url) as process:
                for _ in range(2):
                    request = RunRequest(team="leavers", input="Go")
                    run_id = (await runs.submit("default", request)).run.id
                    assert await completed_within(runs, run_id) == 1
                    events = (await runs.events("default", run_id)).data
                    assert [e.type for e in events].count("tool.call.failed") == 1
                process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(process.wait, 30) == 0


async def test_a_worker_whose_loop_has_ended_ends_with_1_and_a_line_in_its_log(
    tmp_path: Path,
) -> None:
    leaving(tmp_path / "example", "stop")
    with valkey() as server:
        async with service(tmp_path, server) as runs:
            with worker(tmp_path, server.url) as process:
                await runs.submit("default", RunRequest(team="leavers", input="Go"))
                _, said = await asyncio.to_thread(process.communicate, timeout=60)
                assert process.returncode == 1
                assert '"action": "worker.loop_ended"' in said
