"""The commands as a user types them, against a running service."""

import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.support.service import Served, example, serving, until

from teamrun.cli.app import COMMANDS

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

STARTED_ELSEWHERE = {"serve", "api", "worker", "mcp", "webhooks trigger", "webhooks listen"}
SHOW_PROGRESS = {"batch submit", "batch watch"}

ASKING = {
    "type": "round_robin_group_chat",
    "participants": [{"type": "user_proxy_agent", "name": "boss"}],
    "max_turns": 1,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    folder = tmp_path_factory.mktemp("cli")
    config = example(folder / "example")
    with serving(folder / "data", config=config) as served:
        asking = folder / "asking.json"
        asking.write_text(json.dumps(ASKING), encoding="utf-8")
        assert served.cli("submit", str(asking), "May we?").returncode == 0
        until(
            lambda: served.cli("runs", "--status", "input_required", "--ids").stdout,
            "a run asks somebody",
        )
        thread = served.environ["THREAD"] = served.cli("threads", "create").stdout.strip()
        question = ("Which region sold most?", "-w", "--thread", thread)
        assert served.cli("submit", "analysts", *question).returncode == 0
        for turns in (2, 1):  # two versions
            asking.write_text(json.dumps({**ASKING, "max_turns": turns}), encoding="utf-8")
            assert served.cli("teams", "push", "haiku", str(asking)).returncode == 0
        yield served


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """A run takes minutes, so a command that needs an open one is in time on a busy machine."""
    folder = tmp_path_factory.mktemp("slow")
    config = example(folder / "example", latency_ms=20_000)
    with serving(folder / "data", config=config) as served:
        yield served


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in STARTED_ELSEWHERE])
def test_the_example_in_the_help_works(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    needs_open_run = "$(teamrun submit" in COMMANDS[name].EXAMPLE
    needs_open_run |= "$(teamrun batch submit" in COMMANDS[name].EXAMPLE
    served: Served = request.getfixturevalue("slow" if needs_open_run else "served")
    command = tmp_path / "teamrun"
    command.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m teamrun "$@"\n', encoding="utf-8"
    )
    (tmp_path / "haiku.json").write_text(json.dumps(ASKING), encoding="utf-8")
    (tmp_path / "tasks.jsonl").write_text(
        '{"input": "Which region sold most?"}\n', encoding="utf-8"
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)

    done = subprocess.run(
        ["sh", "-c", COMMANDS[name].EXAMPLE],
        env={
            **served.environ,
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "TEAMRUN_URL": served.url,
            "TEAMRUN_CONFIG": str(served.data_dir.parent / "example/teamrun.yaml"),
            "TEAMRUN_DATA_DIR": str(served.data_dir),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    talk = [line for line in done.stderr.splitlines() if "SCRIPT" not in line]
    assert done.returncode == 0, talk
    assert talk == [] or name in SHOW_PROGRESS
    assert done.stdout or name in {"batch watch", "batch errors"}


def test_submit_prints_only_the_id(served: Served) -> None:
    done = served.cli("submit", "analysts", "Which region sold most?", "--tag", "t1")

    run_id = done.stdout.strip()
    assert served.get(f"/v1/runs/{run_id}")["tags"] == ["t1"]
    assert served.cli("runs", "--tag", "t1", "--ids").stdout == done.stdout


def test_limits_and_a_delay_are_those_of_the_run(served: Served) -> None:
    options = ("--max-cost-usd", "1.50", "--timeout-seconds", "60", "--delay-seconds", "600")
    run_id = served.cli("submit", "analysts", "Later", *options).stdout.strip()

    assert served.cli("resume", run_id, "--timeout-seconds", "90").stdout == "scheduled\n"

    run = served.get(f"/v1/runs/{run_id}")
    assert run["status"] == "scheduled"
    assert (run["limits"]["max_cost_usd"], run["limits"]["timeout_seconds"]) == ("1.50", 90)


def test_a_fork_gets_a_message_and_repeats_no_calls(served: Served) -> None:
    parent = served.cli("runs", "--status", "completed", "--limit", "1", "--ids").stdout.strip()
    last = served.cli("watch", parent, "--json").stdout.splitlines()[-1]

    done = served.cli("fork", parent, "--after", str(json.loads(last)["seq"]), "--say", "Hm.")

    run = served.get(f"/v1/runs/{done.stdout.strip()}?wait=20")
    assert (run["status"], run["parent_run_id"]) == ("completed", parent)
    assert run["usage"]["model_calls"] == 0


def test_the_same_key_makes_one_run(served: Served) -> None:
    arguments = ("submit", "analysts", "Once", "--idempotency-key", "only-once")

    assert served.cli(*arguments).stdout == served.cli(*arguments).stdout


def test_events_as_json_are_those_of_the_server(served: Served) -> None:
    run_id = served.cli("runs", "--limit", "1", "--ids").stdout.strip()
    assert served.cli("watch", run_id).returncode == 0

    lines = served.cli("watch", run_id, "--json", "--after", f"{run_id}-3").stdout.splitlines()

    assert [json.loads(line)["seq"] for line in lines][:2] == [4, 5]
    assert json.loads(lines[-1])["type"] == "run.completed"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["submit", "analists", "x"], "TEAM: "),
        (["submit", "analysts", "x", "--metadata", "nokey"], "KEY=VALUE"),
        (["submit", "none.json", "x"], "none.json"),
        (["submit", "analysts", "x", "--max-cost-usd", "free"], "--max-cost-usd"),
        (["retry", "run_none"], "run_none"),
        (["fork", "run_none", "--after", "1"], "run_none"),
        (["watch", "run_none"], "run_none"),
        (["cancel", "run_none"], "run_none"),
        (["runs", "run_none"], "run_none"),
        (["runs", "--status", "happy"], "status"),
        (["teams", "--url", "127.0.0.1:9"], "TEAMRUN_URL"),
        (["files", "run_none"], "run_none"),
        (["result", "run_none"], "run_none"),
    ],
)
def test_wrong_use_ends_with_2_and_an_error(
    arguments: list[str], told: str, served: Served
) -> None:
    done = served.cli(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_that_fails_ends_with_1(served: Served, tmp_path: Path) -> None:
    """The script has no steps for this agent, so its model call fails."""
    spec = {
        "type": "round_robin_group_chat",
        "name": "lonely",
        "participants": [{"type": "assistant_agent", "name": "nobody", "model": "scripted"}],
        "termination": {"type": "max_messages", "max_messages": 3},
    }
    path = tmp_path / "lonely.json"
    path.write_text(json.dumps(spec), encoding="utf-8")

    done = served.cli("submit", str(path), "x", "--watch")

    assert done.returncode == 1
    assert "run.failed" in done.stdout


def test_a_run_in_this_process_that_fails_ends_with_1(tmp_path: Path) -> None:
    config = tmp_path / "teamrun.yaml"
    config.write_text(
        "version: 1\n"
        "models: {m: {type: scripted, script: {a: []}}}\n"
        "agents: {a: {model: m}}\n"
        "teams: {t: {type: round_robin_group_chat, agents: [a],"
        " termination: {type: max_messages, max_messages: 2}}}\n",
        encoding="utf-8",
    )

    done = subprocess.run(
        [sys.executable, "-m", "teamrun", "run", "t", "Hello", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "agent 'a'" in done.stdout
    assert done.stderr == ""  # the failure is a row, and no line of a log


def test_watch_without_a_terminal_prints_how_to_answer(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "asking.json"
    path.write_text(json.dumps(ASKING), encoding="utf-8")
    run_id = served.cli("submit", str(path), "May we?").stdout.strip()
    with subprocess.Popen(
        [sys.executable, "-m", "teamrun", "watch", run_id],
        env={**served.environ, "TEAMRUN_URL": served.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as watching:
        assert watching.stderr is not None and watching.stdout is not None
        curl = next(line for line in watching.stderr if "curl" in line)
        assert served.cli("answer", run_id, "--content", "We may.").stdout == "queued\n"
        assert "boss: We may." in watching.stdout.read()
        assert watching.wait(60) == 0

    assert '"action_id": "team/boss/input:0"' in curl
