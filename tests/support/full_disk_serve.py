"""`teamrun serve` whose disk fills up: a program in a separate mount namespace.

`unshare --mount python -m tests.support.full_disk_serve CASE FOLDER` mounts a small file system
there, which ends with the process. The exit status is 77 if this machine does not allow it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.service import Served, Timeline, example, serving, until

QUESTION = {"team": "analysts", "input": "Which region sold most?"}
SHORT_LEASE = {"TEAMRUN_LEASE_SECONDS": "1"}


def _goes_on(disk: Path, config: Path, *, kill: str | None = None) -> None:
    with serving(disk / "data", config=config, environ=SHORT_LEASE) as served:
        old = _complete(served)
        before = _read(served, old)
        waiting = served.post("/v1/runs", QUESTION)["id"]
        seen = Timeline()
        next(event for event in served.follow(waiting, seen) if _is_call(event))
        _fill(disk / "ballast")

        until(lambda: _submit_status(served) == 503, "a submit is refused")
        until(lambda: "503" in _status_of(served, "/readyz"), "the service is not ready")
        assert _read(served, old) == before
        assert waiting in {run["id"] for run in served.get("/v1/runs")["data"]}
        assert served.get(f"/v1/runs/{waiting}")["status"] in {"queued", "running"}
        if kill is not None:
            os.kill(served.pid_of(kill), signal.SIGKILL)
            until(lambda: _status_of(served, "/healthz") == "200", "the API answers")
            assert _read(served, old) == before
        until(lambda: _submit_status(served) == 503, "a submit is refused still")
        assert served.process.poll() is None

        (disk / "ballast").unlink()
        until(lambda: _submit_status(served) == 202, "a submit is accepted")
        until(lambda: _status_is_final(served, waiting), "the run that waited has ended")
        for _ in served.follow(waiting, seen):
            pass
        assert served.get(f"/v1/runs/{waiting}")["status"] == "completed"
        assert [event["seq"] for event in seen.events] == list(range(1, len(seen.events) + 1))
        calls = [event["data"]["call_id"] for event in seen.events if _is_call(event)]
        assert len(calls) == len(set(calls)) == 18
        until(lambda: _all_ended(served), "every run that was accepted has ended")
        assert served.stop() == 0


def _first_start(disk: Path, config: Path) -> None:
    _fill(disk / "ballast")
    with serving(disk / "data", config=config, ready=False) as served:
        _, words = served.process.communicate(timeout=60)
        sys.stderr.write(words)
        assert served.process.returncode == 2
        assert "Traceback" not in words
        assert "child_restarted" not in words, "a process was started that could not run"


def _complete(served: Served) -> str:
    run_id = served.post("/v1/runs", QUESTION)["id"]
    until(lambda: _status_is_final(served, run_id), "the first run has ended")
    return run_id


def _read(served: Served, run_id: str) -> list[Any]:
    seen = Timeline()
    events = list(served.follow(run_id, seen))
    assert seen.ended
    run = served.get(f"/v1/runs/{run_id}")
    return [run["status"], served.get(f"/v1/runs/{run_id}/result"), events]


def _status_is_final(served: Served, run_id: str) -> bool:
    return served.get(f"/v1/runs/{run_id}")["status"] in {"completed", "failed", "cancelled"}


def _all_ended(served: Served) -> bool:
    return {run["status"] for run in served.get("/v1/runs")["data"]} == {"completed"}


def _is_call(event: dict[str, Any]) -> bool:
    return event["type"] in {"model.call.completed", "tool.call.completed"}


def _submit_status(served: Served) -> int:
    try:
        served.post("/v1/runs", QUESTION)
    except urllib.error.HTTPError as error:
        return error.code
    return 202


def _status_of(served: Served, path: str) -> str:
    try:
        served.get(path)
    except urllib.error.HTTPError as error:
        return str(error.code)
    return "200"


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


CASES: dict[str, Callable[[Path, Path], None]] = {
    "goes-on": _goes_on,
    "worker-killed": partial(_goes_on, kill="serving.child teamrun_worker"),
    "valkey-killed": partial(_goes_on, kill="serving.embedded"),
    "first-start": _first_start,
}

if __name__ == "__main__":
    _case, _folder = CASES[sys.argv[1]], Path(sys.argv[2])
    _disk = _folder / "disk"
    _disk.mkdir(parents=True)
    _mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(_disk)]
    if subprocess.run(_mount, capture_output=True, check=False).returncode != 0:
        sys.exit(77)
    os.environ.pop("PYTHONWARNINGS", None)
    _case(_disk, example(_folder / "example", latency_ms=300))
