"""The real API process on a free port of loopback, executing scripted runs itself."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["TEAM_FILE", "ApiServer", "api_server", "start_api"]

TEAM_FILE = """\
version: 1
models:
  default:
    type: scripted
    latency_ms: {latency_ms}
    script:
      - North sold most in March, as it did in February and in January.
      - Which numbers is that from?
      - From the file that the operator gave. APPROVE
      - APPROVE
agents:
  analyst: {{model: default, model_client_stream: true}}
  reviewer: {{model: default, model_client_stream: true}}
teams:
  analysts:
    type: round_robin_group_chat
    agents: [analyst, reviewer]
    termination: {{type: text_mention, text: APPROVE}}
"""


@dataclass
class ApiServer:
    """A process that serves."""

    url: str
    process: subprocess.Popen[str] = field(repr=False)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


def start_api(folder: Path, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
    """Start the command in a folder with a team file; `settings` are variables without prefix."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    environ |= {f"TEAMRUN_{name.upper()}": value for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "teamrun_api", *arguments],
        cwd=folder,
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@contextmanager
def api_server(
    folder: Path,
    *,
    latency_ms: int = 0,
    team_file: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> Generator[ApiServer, None, None]:
    """A server that is ready."""
    text = team_file or TEAM_FILE.format(latency_ms=latency_ms)
    (folder / "teamrun.yaml").write_text(text, encoding="utf-8")
    process = start_api(folder, "--port", "0", **(settings or {}))
    assert process.stderr is not None
    try:
        url = _url_of(process)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield ApiServer(url, process)
    finally:
        process.kill()
        process.wait(timeout=20)
        process.stderr.close()


def _url_of(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        message = json.loads(line)["message"] if line.startswith("{") else ""
        if " running on " in message:
            return message.partition(" running on ")[2].split()[0]
    raise AssertionError(f"the API did not start: {''.join(said)}")
