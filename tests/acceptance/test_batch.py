"""`teamrun batch` as a process, against a real server."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.api_server import api_server

from teamrun.client import Client

pytestmark = pytest.mark.acceptance

TEAM = """\
version: 1
models:
  default: {type: scripted, latency_ms: 50, script: {writer: [Done.]}}
agents:
  writer: {model: default}
teams:
  writers: {type: round_robin_group_chat, agents: [writer], max_turns: 1}
"""


def test_a_batch_continues_after_ctrl_c_and_is_picked_up_again(tmp_path: Path) -> None:
    lines = "".join(f'{{"input": "Task {n}"}}\n' for n in range(60))
    (tmp_path / "tasks.jsonl").write_text(lines, encoding="utf-8")
    teamrun = [sys.executable, "-m", "teamrun", "batch"]
    with api_server(tmp_path, team_file=TEAM) as server, Client(server.url) as client:
        with subprocess.Popen(
            [*teamrun, "tasks.jsonl", "-t", "writers", "--url", server.url],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            batch_id = process.stdout.readline().strip()
            assert process.stderr.readline()  # the first state: it is being watched
            process.send_signal(signal.SIGINT)
            told = process.stderr.read()
            assert process.wait(timeout=20) == 130

        assert f"teamrun batch watch {batch_id}" in told
        assert client.batches.get(batch_id).status in ("in_progress", "completed")

        output = tmp_path / "results.jsonl"
        watched = subprocess.run(
            [*teamrun, "watch", batch_id, "--url", server.url, "--output", str(output)],
            cwd=tmp_path,
            capture_output=True,
            check=False,
            timeout=50,
        )

        assert watched.returncode == 0, watched.stderr
        assert len(output.read_bytes().splitlines()) == 60
