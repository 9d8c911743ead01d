"""Starts the service, submits the example over HTTP as any client would, and shows what happens."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

from dev_environment import ROOT, Environment, Failed

__all__ = ["run_example"]

CONFIG = ROOT / "examples" / "teamrun.yaml"
TEAM = "analysts"
TASK = "Which region sold most, and what should we look at next?"
DEFAULT_PORT = 8080
STOP_S = 60

SCRIPTED = """\
No OPENAI_API_KEY and no OPENAI_BASE_URL is set, so the agents' WORDS ARE SCRIPTED.
The tools are real and so are their results: they read examples/sales.csv and compute."""

# A proxy of the environment is not for this machine itself.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def run_example(environment: Environment, *, once: bool, task: str | None, port: int | None) -> int:
    """Serve, run the example, print it, and continue to serve unless `once` is set.

    The status is 0, or 1 if the run failed, or that of the service.
    """
    data = Path(os.environ.get("TEAMRUN_DATA_DIR", ROOT / ".teamrun")).absolute()
    body = {"team": TEAM, "input": task or TASK}
    with _service(environment, data, port or _free_port()) as (service, url):
        if url is None:
            return service.wait() or 1
        _say(f"\n{_which_model(url)}\n\nPOST {url}/v1/runs\n{json.dumps(body)}\n")
        run_id = _fetch_json(f"{url}/v1/runs", body)["id"]
        watch = [environment.python, "-m", "teamrun", "watch", run_id, "--url", url]
        status = subprocess.call(watch, cwd=ROOT)
        _show_result(url, run_id, data)
        if once:
            return status
        with contextlib.suppress(KeyboardInterrupt):
            _show_by_hand(url, run_id, body)
            return service.wait()
        return 0


@contextlib.contextmanager
def _service(
    environment: Environment, data: Path, port: int
) -> Generator[tuple[subprocess.Popen[str], str | None]]:
    """`teamrun serve` and its URL when it accepts runs; it ends with this process in any case."""
    command = [environment.python, "-m", "teamrun.cli.serving.child", "teamrun", "serve"]
    service = subprocess.Popen(
        [*command, "--port", str(port), "--config", CONFIG, "--data-dir", data],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env={"TEAMRUN_ARCHIVE_EVENTS": "true", **os.environ},
        start_new_session=True,
    )
    assert service.stdin is not None and service.stdout is not None
    try:
        yield service, service.stdout.readline().strip() or None
    finally:
        _say("\nStopping ...")
        service.stdin.close()
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            service.wait(STOP_S)


def _free_port() -> int:
    for port in (DEFAULT_PORT, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            if os.name != "nt":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise Failed("There is no free port on 127.0.0.1.")


def _which_model(url: str) -> str:
    teams = {team["name"]: team for team in _fetch_json(f"{url}/v1/teams")["data"]}
    if any(model["type"] == "scripted" for model in teams[TEAM]["models"]):
        return SCRIPTED
    where = os.environ.get("OPENAI_BASE_URL") or "OpenAI"
    return f"The model is at {where}; set OPENAI_MODEL to use another one of it."


def _show_result(url: str, run_id: str, data: Path) -> None:
    result = _fetch_json(f"{url}/v1/runs/{run_id}/result")
    print(f"\nResult: {result['status']} ({result['stop_reason']})\n")
    if result["output"]:
        print(result["output"]["text"])
    if result["error"]:
        print(result["error"]["message"])
    folder = data / "files" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    files = _fetch_json(f"{url}/v1/runs/{run_id}/artifacts")["data"]
    newest = {file["name"]: file["url"] for file in files}
    for name, where in newest.items():
        (folder / name).write_bytes(_fetch(f"{url}{where}"))
    print("\nFiles written:")
    for path in (*sorted(folder.iterdir()), *_kept(data, run_id)):
        print(f"  {path} ({path.stat().st_size:,} bytes)")
    print(flush=True)


def _kept(data: Path, run_id: str) -> list[Path]:
    """The objects of the run for readers, besides its log."""
    folders = (data / "store").glob(f"t/default/runs/*/{run_id}")
    return sorted(path for folder in folders for path in folder.glob("*.json*"))


def _show_by_hand(url: str, run_id: str, body: dict[str, str]) -> None:
    print(
        "The same by hand:\n"
        f"  curl -s {url}/v1/runs -H 'Content-Type: application/json' -d '{json.dumps(body)}'\n"
        f"  curl -s {url}/v1/runs/{run_id}\n"
        f"  curl -sN {url}/v1/runs/{run_id}/events -H 'Accept: text/event-stream'\n"
        f"  curl -s {url}/v1/runs/{run_id}/result\n"
        f"  curl -s {url}/v1/runs/{run_id}/artifacts\n"
        f"\nServing at {url} until Ctrl-C.",
        flush=True,
    )


def _fetch_json(url: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    return json.loads(_fetch(url, body))


def _fetch(url: str, body: dict[str, str] | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with _direct.open(request, timeout=60) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        raise Failed(f"{url}: {error.code} {error.read().decode(errors='replace')}") from error
    except OSError as error:
        raise Failed(f"{url}: {error}") from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
