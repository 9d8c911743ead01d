"""`GET /metrics` and the probes of a real worker."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from subprocess import Popen

import pytest
from tests.integration.worker.test_worker import REQUEST, service, worker
from tests.support.service import example, until
from tests.support.services import valkey

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def port_url(process: "Popen[str]") -> str:
    """The URL of the port, which the log of the worker names."""
    assert process.stderr is not None
    while not (url := json.loads(process.stderr.readline()).get("url", "")):
        pass
    return url.removesuffix("/metrics")


async def test_a_worker_shows_its_runs_their_calls_and_the_queue(tmp_path: Path) -> None:
    example(tmp_path / "example", latency_ms=0)
    with valkey() as server:
        async with service(tmp_path, server) as runs:
            with worker(tmp_path, server.url, TEAMRUN_METRICS_PORT="0") as process:
                url = port_url(process)
                run_id = (await runs.submit("default", REQUEST)).run.id
                ended = await runs.wait("default", run_id, timeout=timedelta(seconds=50))
                status, text = await asyncio.to_thread(get, f"{url}/metrics")
                other, _ = await asyncio.to_thread(get, f"{url}/")

        assert (ended.status, status, other) == ("completed", 200, 404)
        assert 'teamrun_runs_ended_total{status="completed"' in text
        assert 'teamrun_model_calls_total{profile="' in text
        assert 'teamrun_queue_messages{queue="interactive"} 0' in text


def test_a_worker_is_ready_when_it_consumes_and_alive_while_redis_is_away(tmp_path: Path) -> None:
    example(tmp_path / "example", latency_ms=0)

    with valkey() as server:
        server.kill()
        with worker(tmp_path, server.url, TEAMRUN_METRICS_PORT="0") as process:
            url = port_url(process)
            alone = [get(f"{url}/healthz")[0], get(f"{url}/readyz")[0]]
            server.start()
            until(lambda: get(f"{url}/readyz")[0] == 200, "the worker consumes")
            consuming, _ = get(f"{url}/healthz")

    assert (alone, consuming) == ([200, 503], 200)


def test_a_port_that_is_in_use_is_a_wrong_setting(tmp_path: Path) -> None:
    example(tmp_path / "example", latency_ms=0)

    with valkey() as server, socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with worker(tmp_path, server.url, TEAMRUN_METRICS_PORT=port) as process:
            _, log = process.communicate(timeout=60)

    assert process.returncode == 2
    assert "TEAMRUN_METRICS_PORT" in log
