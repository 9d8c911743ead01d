"""Starts the service, submits the example over HTTP as any client would, and shows what happens."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from dev_environment import ROOT, Environment, Failed

__all__ = ["run_example"]

EXAMPLE = ROOT / "examples" / "analysts"
TEAM = "analysts"
TASK = "Which region sold most, and what should we look at next?"
DEFAULT_PORT = 8080
STOP_S = 60

# A proxy of the environment is not for this machine itself.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def run_example(environment: Environment, *, once: bool, task: str | None, port: int | None) -> int:
    """Serve, run the example, print it, and go on serving unless it is for `once`.

    The status is 0, or 1 where the run failed, or that of the service.
    """
    _say(_which_model())
    with _service(environment, port or _free_port()) as (service, url):
        if url is None:
            return service.wait() or 1
        run_id = _submit(url, task or TASK)
        watching = [str(environment.python), "-m", "teamrun", "watch", run_id, "--url", url]
        status = subprocess.call(watching, cwd=ROOT)
        _show_result(url, run_id)
        if once:
            return status
        _show_by_hand(url, run_id)
        with contextlib.suppress(KeyboardInterrupt):
            return service.wait()
        return 0


def _which_model() -> str:
    if any(os.environ.get(name) for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL")):
        where = os.environ.get("OPENAI_BASE_URL", "OpenAI")
        return f"Model: {os.environ.get('OPENAI_MODEL', 'the default')} at {where}."
    return (
        "No OPENAI_API_KEY and no OPENAI_BASE_URL is set: the agents' words are SCRIPTED.\n"
        "The tools are real, and so are their results: they read the CSV file and compute."
    )


@contextlib.contextmanager
def _service(
    environment: Environment, port: int
) -> Generator[tuple[subprocess.Popen[str], str | None]]:
    """`teamrun serve` and its URL once it takes runs; it ends with this process, killed or not."""
    data = os.environ.get("TEAMRUN_DATA_DIR", str(ROOT / ".teamrun"))
    command = [str(environment.python), "-m", "teamrun.cli.serving.child", "teamrun", "serve"]
    service = subprocess.Popen(
        [*command, "--port", str(port), "--config", str(_config()), "--data-dir", data],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        start_new_session=True,
    )
    assert service.stdin is not None and service.stdout is not None
    try:
        yield service, service.stdout.readline().strip() or None
    finally:
        service.stdin.close()
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            service.wait(STOP_S)


def _config() -> Path:
    return EXAMPLE / "teamrun.yaml"


def _free_port() -> int:
    for port in (DEFAULT_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
    raise Failed("There is no free port on 127.0.0.1.")


def _submit(url: str, task: str) -> str:
    _say(f"\nPOST {url}/v1/runs\n")
    return _request(f"{url}/v1/runs", {"team": TEAM, "input": task})["id"]


def _show_result(url: str, run_id: str) -> None:
    result = _request(f"{url}/v1/runs/{run_id}/result")
    print(f"\nResult of {run_id}: {result['status']} ({result.get('stop_reason')})\n")
    if result.get("output"):
        print(result["output"]["text"])
    if result.get("error"):
        print(result["error"].get("message"))
    print("\nFiles written:")
    for path in _files(run_id):
        print(f"  {path}")
    print(flush=True)


def _files(run_id: str) -> Iterator[Path]:
    data = Path(os.environ.get("TEAMRUN_DATA_DIR", ROOT / ".teamrun"))
    for folder in sorted((data / "store").glob(f"t/default/runs/*/{run_id}")):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.parent.name != "log":
                yield path


def _show_by_hand(url: str, run_id: str) -> None:
    body = json.dumps({"team": TEAM, "input": TASK})
    print(
        "The same by hand:\n"
        f"  curl -s {url}/v1/runs -H 'Content-Type: application/json' -d '{body}'\n"
        f"  curl -s {url}/v1/runs/{run_id}\n"
        f"  curl -sN {url}/v1/runs/{run_id}/events -H 'Accept: text/event-stream'\n"
        f"  curl -s {url}/v1/runs/{run_id}/result\n"
        f"  curl -s {url}/v1/runs/{run_id}/artifacts\n"
        f"\nServing at {url} until Ctrl-C.",
        flush=True,
    )


def _request(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with _direct.open(request, timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise Failed(f"{url}: {error.code} {error.read().decode(errors='replace')}") from error
    except OSError as error:
        raise Failed(f"{url}: {error}") from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
