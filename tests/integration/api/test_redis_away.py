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
def process(
    module: str, folder: Path, redis_url: str, *, level: str = "warning"
) -> Generator["subprocess.Popen[str]"]:
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
            "TEAMRUN_LOG_LEVEL": level,
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


def records_until(running: "subprocess.Popen[str]", action: str) -> list[dict[str, str]]:
    """The log records up to that action."""
    assert running.stderr is not None
    records: list[dict[str, str]] = []
    for line in running.stderr:
        records.append(json.loads(line))
        if records[-1].get("action") == action:
            return records
    raise AssertionError(f"{action} was not logged; {records}")


def logged(running: "subprocess.Popen[str]", action: str) -> dict[str, str]:
    return records_until(running, action)[-1]


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
            record = logged(running, "redis.unavailable")

    assert reason in record["error"]
    assert "HUNTER2" not in json.dumps(record)


REFUSED = {"a password": ("password=HUNTER2", "AUTH"), "no such database": ("db=99999", "DB index")}


@pytest.mark.parametrize("module", ["teamrun_api", "teamrun_worker"])
@pytest.mark.parametrize(("option", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_process_warns_of_a_redis_that_refuses_it(
    module: str, option: str, reason: str, tmp_path: Path
) -> None:
    with valkey() as server, process(module, tmp_path, f"unix://{server.socket}?{option}") as it:
        record = logged(it, "redis.unavailable")

    assert reason in record["error"]
    assert "HUNTER2" not in json.dumps(record)


@pytest.mark.parametrize("module", ["teamrun_api", "teamrun_worker"])
def test_a_process_that_has_waited_for_redis_logs_that_it_is_back(
    module: str, tmp_path: Path
) -> None:
    with valkey() as server:
        server.kill()
        with process(module, tmp_path, f"unix://{server.socket}") as running:
            logged(running, "redis.unavailable")
            server.start()
            assert logged(running, "redis.available")["level"] == "warning"


def test_the_log_of_a_worker_in_an_outage_has_no_advice_and_no_line_per_attempt(
    tmp_path: Path,
) -> None:
    with valkey() as server:
        url = f"unix://{server.socket}"
        with process("teamrun_worker", tmp_path, url, level="info") as running:
            logged(running, "worker.ready")
            server.kill()
            lines = records_until(running, "redis.unavailable")
            server.start()
            lines += records_until(running, "redis.available")

    assert [line for line in lines if line["logger"] == "py.warnings"] == []
    assert [line for line in lines if "Cannot connect" in line["message"]] == []
    assert [line for line in lines if line["message"].count("\n") > 0] == []
