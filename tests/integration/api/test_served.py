"""The API as its clients meet it: a process, a socket, HTTP."""

import json
import socket
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.api import frames_of
from tests.support.api_server import ApiServer, api_server, start_api
from tests.support.careless_bucket import careless_bucket

pytestmark = pytest.mark.integration

SUBMIT = {"team": "analysts", "input": "Which region sold most in March?"}
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with api_server(tmp_path, latency_ms=20) as started:
        yield started


def _frames(url: str, headers: dict[str, str]) -> Generator[dict[str, Any], None, None]:
    """Frames as they arrive; closing the iterator closes the connection."""
    with httpx2.stream("GET", url, headers={**STREAM, **headers}, timeout=20) as response:
        assert response.status_code == 200
        block = ""
        for line in response.iter_lines():
            block += line + "\n"
            if not line:
                yield from frames_of(block)
                block = ""


def test_a_stream_that_is_cut_again_and_again_has_no_gap_and_no_repeat(server: ApiServer) -> None:
    run = httpx2.post(f"{server.url}/v1/runs", json=SUBMIT).json()
    url = server.url + run["urls"]["events"]
    events: list[dict[str, Any]] = []
    headers: dict[str, str] = {}
    connections, end = 0, None
    while end is None:
        connections += 1
        stream = _frames(url, headers)
        for frame in stream:
            if frame["event"] == "end":
                end = frame
                break
            if "id" not in frame:
                continue
            events.append(frame["data"])
            headers = {"Last-Event-ID": frame["id"]}
            if len(events) % 3 == 0:
                break
        stream.close()

    assert connections > 4
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    page = httpx2.get(url, params={"limit": 1000}).json()
    lines = httpx2.get(url, headers={"Accept": "application/x-ndjson"}).text
    assert page["data"] == events
    assert [json.loads(line) for line in lines.splitlines()] == events
    result = httpx2.get(server.url + run["urls"]["result"]).json()
    assert end["data"] == {"run_id": run["id"], "status": result["status"]}
    assert result["output"]["text"].endswith("APPROVE")


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[ApiServer]:
    with api_server(tmp_path, latency_ms=60_000, settings={"grace_seconds": "0.1"}) as started:
        yield started


def _submitted(server: ApiServer) -> dict[str, str]:
    return httpx2.post(f"{server.url}/v1/runs", json=SUBMIT).json()["urls"]


def test_clients_that_leave_are_forgotten(slow: ApiServer) -> None:
    events = slow.url + _submitted(slow)["events"]
    streams = [_frames(events, {}) for _ in range(5)]
    for stream in streams:
        next(stream)
    assert _open_streams(slow) == 5
    for stream in streams:
        stream.close()
    while _open_streams(slow):  # each look is a request, and the test has a time limit
        pass


def _open_streams(server: ApiServer) -> int:
    lines = httpx2.get(f"{server.url}/metrics").text.splitlines()
    (line,) = (line for line in lines if line.startswith("teamrun_http_streams "))
    return int(line.rpartition(" ")[2])


def test_a_run_inside_a_model_call_is_cancelled(slow: ApiServer) -> None:
    urls = _submitted(slow)
    for frame in _frames(slow.url + urls["events"], {}):
        if frame["event"] == "model.call.started":
            break
    asked = httpx2.post(slow.url + urls["cancel"], json={"reason": "enough"})
    assert asked.status_code in {200, 202}
    run = httpx2.get(slow.url + urls["self"], params={"wait": 20}, timeout=30).json()
    assert run["status"] == "cancelled"


def test_sigterm_ends_streams_and_held_answers_and_the_process_in_order(slow: ApiServer) -> None:
    urls = _submitted(slow)
    stream = _frames(slow.url + urls["events"], {})
    next(stream)

    assert slow.stop() == 0

    assert "end" not in [frame["event"] for frame in stream]


def test_a_body_beyond_the_limit_is_answered_though_it_is_still_being_sent(
    server: ApiServer,
) -> None:
    answer = httpx2.post(
        f"{server.url}/v1/runs",
        content=b" " * 4_000_000,
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("host", "0.0.0.0", "TEAMRUN_API_KEYS"),
        ("port", "high", "TEAMRUN_PORT"),
        ("api_keys", "secret", "TEAMRUN_API_KEYS"),
        ("config", "none.yaml", "none.yaml"),
    ],
)
def test_invalid_settings_end_the_process_with_2_and_are_named(
    tmp_path: Path, setting: str, value: str, says: str
) -> None:
    process = start_api(tmp_path, **{"port": "0", setting: value})
    _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert says in said and "secret" not in said
    assert "Traceback" not in said


def test_a_port_that_is_in_use_ends_the_process_with_2_and_names_the_setting(
    tmp_path: Path,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (tmp_path / "teamrun.yaml").write_text("version: 1\n", encoding="utf-8")
        process = start_api(tmp_path, port=str(taken.getsockname()[1]))
        _, said = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "TEAMRUN_PORT" in said
    assert all(json.loads(line)["level"] for line in said.splitlines())


@pytest.mark.parametrize("fault", ["missing bucket", "no put-if-absent"])
def test_an_unusable_store_ends_the_process_with_2(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    (tmp_path / "teamrun.yaml").write_text("version: 1\n", encoding="utf-8")
    with careless_bucket(missing=fault == "missing bucket") as url:
        process = start_api(tmp_path, port="0", store_url=url)
        _, said = process.communicate(timeout=30)

    assert process.returncode == 2
    assert ("does not exist" if fault == "missing bucket" else "If-None-Match") in said
    assert "Traceback" not in said
