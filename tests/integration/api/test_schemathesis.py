"""Generated requests against the served document: no 5xx, nothing that it does not declare."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.api_server import ApiServer, api_server

pytestmark = [pytest.mark.integration, pytest.mark.timeout(450)]

# A body may be valid for its schema and still name a team, an event or a key that it may not.
EXCLUDED = "positive_data_acceptance"

SPEAKING = {"cancel", "input", "messages", "pause", "resume", "retry", "fork"}
"""The last parts of the routes that act on a run."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with api_server(tmp_path, settings={"wait_limit_seconds": "0.5"}) as started:
        yield started


def _run(document: Path | str, url: str, folder: Path, *options: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", url),
            *("--checks", "all", "--exclude-checks", EXCLUDED),
            *("--generation-deterministic", "--request-timeout", "20", "--no-color"),
            *options,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_generated_requests_meet_no_5xx_and_no_status_that_is_not_declared(
    server: ApiServer, tmp_path: Path
) -> None:
    phases = ("--phases", "examples,coverage,fuzzing")
    _run(f"{server.url}/openapi.json", server.url, tmp_path, *phases, "--max-examples", "8")


def test_generated_sequences_of_requests_about_real_runs_are_valid(
    server: ApiServer, tmp_path: Path
) -> None:
    document: dict[str, Any] = httpx2.get(f"{server.url}/openapi.json").json()
    request = document["components"]["schemas"]["RunOfRegisteredTeam"]
    document["components"]["schemas"]["RunRequest"] = request
    request["properties"]["team"] = {"const": "analysts"}
    # Such runs would not end in time, or not be accepted.
    unfit = ("delay_seconds", "run_at", "limits", "webhook", "thread_id", "on_busy_thread")
    for name in (*unfit, "output_schema"):
        del request["properties"][name]
    for path in list(document["paths"]):
        if not path.startswith(("/v1/runs", "/v1/teams", "/v1/info")) or "deliver" in path:
            del document["paths"][path]
    narrowed = tmp_path / "openapi.json"
    narrowed.write_text(json.dumps(document), encoding="utf-8")

    _run(narrowed, server.url, tmp_path, "--phases", "stateful", "--max-examples", "80")

    metrics = httpx2.get(f"{server.url}/metrics").text
    assert 'method="GET",route="/v1/runs/{run_id}/result",status="200"' in metrics
    # Which of them meet a run depends on how fast runs end here.
    acted = r'method="POST",route="/v1/runs/{run_id}/(\w+)",status="(?:2|409)'
    reached = set(re.findall(acted, metrics))
    assert len(reached & SPEAKING) >= 3, reached
