"""aimock from npm: a model server that speaks the wire and that this project did not write."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.services import not_here

__all__ = ["aimock"]

FOLDER = Path(__file__).parents[1] / "node"
SCRIPT = FOLDER / "node_modules/@copilotkit/aimock/dist/cli.js"
START_SECONDS = 20.0


@contextmanager
def aimock(fixtures: Sequence[dict[str, Any]], folder: Path) -> Generator[str]:
    """A server that answers by `fixtures`; yields the base URL that a client takes."""
    node = shutil.which("node")
    if node is None:
        not_here("Node is not on PATH")
    if not SCRIPT.is_file():
        not_here("aimock is not installed: npm ci --prefix tests/node")
    file = folder / "fixtures.json"
    file.write_text(json.dumps({"fixtures": list(fixtures)}), encoding="utf-8")
    port = _free_port()
    command = [node, str(SCRIPT), "-p", str(port), "-f", str(file), "--log-level", "warn"]
    with subprocess.Popen([*command, "--strict"], stdin=subprocess.DEVNULL) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/v1/models", process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, "aimock ended at once"
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            time.sleep(0.05)  # there is nothing to wait on but its port
    raise AssertionError(f"aimock does not answer at {url}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
