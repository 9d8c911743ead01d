"""Processes whose Redis cannot be used: one clear warning soon after the start."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.service import free_port
from tests.support.services import valkey

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@contextmanager
def silent_server() -> Generator[int]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def process(module: str, folder: Path, redis_url: str) -> Generator["subprocess.Popen[str]"]:
    config = folder / "teamrun.yaml"
    config.write_text("models: {}\n", encoding="utf-8")
    running = subprocess.Popen(
        [sys.executable, "-m", module],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TEAMRUN_CONFIG": str(config),
            "TEAMRUN_STORE_URL": str(folder / "store"),
            "TEAMRUN_REDIS_URL": redis_url,
            "TEAMRUN_PORT": "0",
            "TEAMRUN_LOG_LEVEL": "warning",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(60, running.kill)  # ends the reading below
    timer.start()
    try:
        yield running
    finally:
        timer.cancel()
        running.kill()
        running.wait()
        assert running.stderr is not None
        running.stderr.close()


def warning(running: "subprocess.Popen[str]", action: str) -> dict[str, str]:
    assert running.stderr is not None
    for line in running.stderr:
        record = json.loads(line)
        if record.get("action") == action:
            return record
    raise AssertionError("no warning")


Make = Callable[[int, int], str]
URLS: dict[str, tuple[Make, str]] = {
    "nobody listens": (lambda _, free: f"redis://:HUNTER2@127.0.0.1:{free}/0", "connecting"),
    "no TLS": (lambda silent, _: f"rediss://:HUNTER2@127.0.0.1:{silent}/0", "TLS"),
    "no answer": (lambda silent, _: f"redis://:HUNTER2@127.0.0.1:{silent}/0", "in time"),
}


@pytest.mark.parametrize("module", ["teamrun_api", "teamrun_worker"])
@pytest.mark.parametrize(("make", "reason"), URLS.values(), ids=URLS.keys())
def test_a_process_warns_of_a_redis_that_cannot_be_used(
    module: str, make: Make, reason: str, tmp_path: Path
) -> None:
    with silent_server() as silent:
        url = make(silent, free_port())
        with process(module, tmp_path, url) as running:
            record = warning(running, "redis.away")

    assert reason in record["error"]
    assert "HUNTER2" not in json.dumps(record)


REFUSED = {"a password": ("password=HUNTER2", "AUTH"), "no such database": ("db=99999", "DB index")}


@pytest.mark.parametrize("module", ["teamrun_api", "teamrun_worker"])
@pytest.mark.parametrize(("option", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_process_warns_of_a_redis_that_refuses_it(
    module: str, option: str, reason: str, tmp_path: Path
) -> None:
    with valkey() as server, process(module, tmp_path, f"unix://{server.socket}?{option}") as it:
        record = warning(it, "redis.away")

    assert reason in record["error"]
    assert "HUNTER2" not in json.dumps(record)


@pytest.mark.parametrize("module", ["teamrun_api", "teamrun_worker"])
def test_a_process_that_has_waited_for_redis_logs_that_it_is_back(
    module: str, tmp_path: Path
) -> None:
    with valkey() as server:
        server.kill()
        with process(module, tmp_path, f"unix://{server.socket}") as running:
            warning(running, "redis.away")
            server.start()
            assert warning(running, "redis.back")["level"] == "warning"
