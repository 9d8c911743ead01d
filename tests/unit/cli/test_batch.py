"""`teamrun batch`: what it sends, shows and writes; with `--local`, without a server."""

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.support.scripted_api import Given, scripted_api
from typer.testing import CliRunner

from teamrun.batches.resources import Batch
from teamrun.cli import server
from teamrun.cli.app import app
from teamrun.cli.batch.progress import BatchProgress, summary
from teamrun.client import InvalidItemsError, ServiceUnavailableError
from teamrun.errors import InvalidItems, UsageError

ROOT = Path(__file__).parents[3]
EXAMPLES: dict[str, Any] = json.loads(
    (ROOT / "docs/reference/openapi.json").read_text(encoding="utf-8")
)["components"]["examples"]
RUNNING: dict[str, Any] = EXAMPLES["BatchRunning"]["value"]
FILE = Given(201, json.dumps(EXAMPLES["File.uploaded"]["value"]).encode())
TEAM = """\
version: 1
models:
  default: {type: scripted, script: {writer: [Done.]}}
  broken: {type: scripted, script: {}}
agents:
  writer: {model: default}
  failing: {model: broken}
  boss: {type: user_proxy_agent}
teams:
  writers: {type: round_robin_group_chat, agents: [writer], max_turns: 1}
  failures: {type: round_robin_group_chat, agents: [failing], max_turns: 1}
  asking: {type: round_robin_group_chat, agents: [boss], max_turns: 1}
"""


def batch(status: str = "in_progress", **counts: int) -> dict[str, Any]:
    none = dict.fromkeys(RUNNING["counts"], 0)
    total = {"total": sum(counts.values())}
    return {**RUNNING, "id": "bat_1", "status": status, "counts": {**none, **total, **counts}}


def state(status: str = "in_progress", **counts: int) -> Given:
    return Given(202, json.dumps(batch(status, **counts)).encode())


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.jsonl"
    path.write_text('{"input": "a"}\n{"input": "b"}\n', encoding="utf-8")
    return path


def invoke(*arguments: str, **given: Any) -> Any:
    return CliRunner().invoke(app, ["batch", *arguments], **given)


@pytest.mark.parametrize("word", [(), ("submit",)])
def test_a_file_is_uploaded_and_its_batch_submitted(word: tuple[str, ...], tasks: Path) -> None:
    options = ["--max-concurrency", "3", "--max-cost-usd", "2", "--metadata", "a=b", "--no-watch"]
    with scripted_api(FILE, state(queued=2)) as api:
        done = invoke(*word, str(tasks), "--team", "t", *options, "--url", api.url)

    assert (done.exit_code, done.stdout) == (0, "bat_1\n")
    upload, submit = api.asked
    assert (upload.path, upload.body) == ("/v1/files?name=tasks.jsonl", tasks.read_bytes())
    assert json.loads(submit.body) == {
        "team": "t",
        "input_file_id": EXAMPLES["File.uploaded"]["value"]["id"],
        "on_invalid": "reject",
        "max_concurrency": 3,
        "limits": {"max_cost_usd": "2"},
        "metadata": {"a": "b"},
        "tags": [],
    }


@pytest.mark.parametrize("place", ["s3://b/t.csv", "az://c/t", "azure://c/t", "file:///srv/t"])
def test_a_url_is_read_by_the_server(place: str) -> None:
    with scripted_api(state(queued=2)) as api:
        done = invoke(place, "--team", "t", "--no-watch", "--url", api.url)

    assert (done.exit_code, done.stdout) == (0, "bat_1\n")
    [submit] = api.asked
    assert json.loads(submit.body)["input_url"] == place
    assert "input_file_id" not in json.loads(submit.body)


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ([], None),
        (["--webhook", "https://x/h"], {"url": "https://x/h"}),
        (
            ["--webhook", "https://x/h", "--webhook-events", "batch.*,batch.failed"],
            {"url": "https://x/h", "events": ["batch.*", "batch.failed"]},
        ),
    ],
)
def test_a_webhook_is_sent_along(options: list[str], sent: object, tasks: Path) -> None:
    with scripted_api(FILE, state(queued=1)) as api:
        invoke(str(tasks), "--team", "t", "--no-watch", *options, "--url", api.url)
    assert json.loads(api.asked[1].body).get("webhook") == sent

    run = Given(202, json.dumps(EXAMPLES["RunQueued"]["value"]).encode())
    with scripted_api(run) as api:
        CliRunner().invoke(app, ["submit", "t", "x", *options, "--url", api.url])
    assert json.loads(api.asked[0].body).get("webhook") == sent


def test_stdin_is_a_file_too() -> None:
    with scripted_api(FILE, state(queued=1)) as api:
        done = invoke("-", "--team", "t", "--no-watch", "--url", api.url, input='{"input": "a"}\n')

    assert done.exit_code == 0
    assert api.asked[0].body == b'{"input": "a"}\n'


@pytest.mark.parametrize(("failed", "status"), [(0, 0), (1, 1)])
def test_the_batch_is_watched_to_its_end_and_its_results_are_written(
    failed: int, status: int, tasks: Path, tmp_path: Path
) -> None:
    output = tmp_path / "results.csv"
    counts = {"completed": 2 - failed, "failed": failed}
    answers = [FILE, state(queued=2), state("completed", **counts), Given(200, b"custom_id\r\n")]
    with scripted_api(*answers) as api:
        done = invoke(str(tasks), "-t", "t", "-o", str(output), "--url", api.url)

    assert done.exit_code == status
    assert output.read_bytes() == b"custom_id\r\n"
    assert api.asked[-1].headers["accept"] == "text/csv"
    assert ("teamrun batch errors bat_1" in done.stderr) == bool(failed)


def test_a_refused_file_is_not_left_behind(tasks: Path) -> None:
    fault = {"line": 2, "detail": "No.", "code": "invalid_item"}
    problem = {"code": "invalid_items", "detail": "D.", "errors": [fault]}
    refused = Given(422, json.dumps(problem).encode())
    with scripted_api(FILE, refused, Given(204)) as api:
        error = invoke(str(tasks), "--team", "t", "--url", api.url).exception

    assert isinstance(error, InvalidItemsError)
    assert error.errors == [fault]
    assert [each.method for each in api.asked] == ["POST", "POST", "DELETE"]


def test_a_server_that_stays_away_leaves_the_way_back(
    tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = replace(server.POLICY, max_reconnects=1, first_delay=0)
    monkeypatch.setattr(server, "POLICY", policy)
    with scripted_api(FILE, state(queued=2), state(queued=2), *[Given(503)] * 3) as api:
        done = invoke(str(tasks), "--team", "t", "--url", api.url)

    assert isinstance(done.exception, ServiceUnavailableError)
    assert "teamrun batch watch bat_1" in done.stderr


@pytest.mark.parametrize("place", ["tasks.jsonl", "absent/results.jsonl"])
def test_an_output_that_cannot_be_written_is_refused_before_anything_is_sent(
    place: str, tasks: Path, tmp_path: Path
) -> None:
    with scripted_api() as api:
        output = str(tmp_path / place)
        done = invoke(str(tasks), "--team", "t", "--output", output, "--url", api.url)

    assert isinstance(done.exception, UsageError)
    assert api.asked == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["absent.jsonl"],
        ["tasks.jsonl", "--output", "r.jsonl", "--no-watch"],
        ["tasks.jsonl", "--webhook-events", "batch.*"],
        ["tasks.jsonl", "--webhook", "https://x/h", "--local"],
        ["s3://b/x.jsonl", "--local"],
    ],
)
def test_wrong_use_is_refused_before_anything_is_sent(
    arguments: list[str], tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tasks.parent)
    with scripted_api() as api:
        done = invoke(*arguments, "--team", "t", "--url", api.url)

    assert isinstance(done.exception, UsageError)
    assert api.asked == []


SIMPLE = [
    (("pause", "bat_1"), "POST /v1/batches/bat_1/pause", "paused\n"),
    (("resume", "bat_1"), "POST /v1/batches/bat_1/resume", "paused\n"),
    (("cancel", "bat_1", "--reason", "x"), "POST /v1/batches/bat_1/cancel", "paused\n"),
    (("retry-failed", "bat_1"), "POST /v1/batches/bat_1/retry-failed", "paused\n"),
    (("status", "bat_1"), "GET /v1/batches/bat_1", "paused: 1 of 3 ended, 1 failed\n"),
]


def test_the_status_of_a_stopped_batch_has_its_reason() -> None:
    stopped = {**batch("failed", failed=1), "stop_reason": "The limit is 9."}
    with scripted_api(Given(200, json.dumps(stopped).encode())) as api:
        done = invoke("status", "bat_1", "--url", api.url)

    assert done.stdout.splitlines()[1:] == ["The limit is 9."]


def test_a_retry_sends_higher_limits() -> None:
    limits = ["--max-cost-usd", "3", "--max-tokens", "900"]
    with scripted_api(state(queued=1)) as api:
        done = invoke("retry-failed", "bat_1", *limits, "--url", api.url)

    assert done.exit_code == 0
    assert json.loads(api.asked[0].body) == {"limits": {"max_cost_usd": "3", "max_tokens": 900}}


@pytest.mark.parametrize(("arguments", "request_line", "shown"), SIMPLE)
def test_a_command_sends_one_request_and_prints_one_line(
    arguments: tuple[str, ...], request_line: str, shown: str
) -> None:
    body = {**batch("paused", queued=2, failed=1), "seconds_left": None, "skipped": 0}
    body["usage"] = {"input_tokens": 0, "output_tokens": 0, "cost_usd": None}
    answer = Given(202, json.dumps(body).encode())
    with scripted_api(answer, answer) as api:
        plain = invoke(*arguments, "--url", api.url)
        as_json = invoke(*arguments, "--json", "--url", api.url)

    assert (plain.exit_code, plain.stdout) == (0, shown)
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (0, body)
    assert f"{api.asked[0].method} {api.asked[0].path}" == request_line


def test_batches_are_listed() -> None:
    page = {"data": [batch(queued=1)], "next_cursor": None, "has_more": False}
    answer = Given(200, json.dumps(page).encode())
    with scripted_api(answer, answer, answer) as api:
        rows = invoke("list", "--url", api.url)
        ids = invoke("list", "--ids", "--url", api.url)
        document = invoke("list", "--json", "--limit", "3", "--url", api.url)

    assert rows.stdout.split("\t")[:2] == ["bat_1", "in_progress"]
    assert ids.stdout == "bat_1\n"
    assert json.loads(document.stdout) == page
    assert api.asked[2].path == "/v1/batches?limit=3"


def test_items_are_listed_page_by_page_up_to_the_limit() -> None:
    item = {"custom_id": "a", "index": 0, "status": "running", "run_id": "run_1", "input": "x"}
    page = {"data": [item] * 2, "next_cursor": "c", "has_more": True}
    answer = Given(200, json.dumps(page).encode())
    with scripted_api(answer, answer, answer) as api:
        rows = invoke("items", "bat_1", "--status", "running", "--limit", "3", "--url", api.url)
        lines = invoke("items", "bat_1", "--limit", "1", "--json", "--url", api.url)

    assert rows.stdout.splitlines() == ["a\trunning\trun_1\t"] * 3
    assert json.loads(lines.stdout)["run_id"] == "run_1"
    assert api.asked[1].path == "/v1/batches/bat_1/items?status=running&limit=3&after=c"


@pytest.mark.parametrize("command", ["results", "errors"])
def test_lines_go_to_stdout_or_into_a_file(command: str, tmp_path: Path) -> None:
    lines, path = b'{"a": 1}\n', tmp_path / "r.jsonl"
    with scripted_api(Given(200, lines), Given(200, lines)) as api:
        printed = invoke(command, "bat_1", "--url", api.url)
        written = invoke(command, "bat_1", "-o", str(path), "--url", api.url)
        again = invoke(command, "bat_1", "-o", str(path), "--url", api.url)

    assert (printed.stdout_bytes, written.exit_code, path.read_bytes()) == (lines, 0, lines)
    assert isinstance(again.exception, UsageError)
    assert api.asked[0].path == f"/v1/batches/bat_1/{command}"


def local(tasks: Path, *arguments: str) -> Any:
    config = tasks.parent / "teamrun.yaml"
    config.write_text(TEAM, encoding="utf-8")
    return invoke(str(tasks), "--local", "--config", str(config), *arguments)


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv"])
def test_without_a_server_the_same_files_come_out(name: str, tasks: Path, tmp_path: Path) -> None:
    output = tmp_path / name
    done = local(tasks, "--team", "writers", "--output", str(output), "--json")

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["counts"]["completed"] == 2
    lines = output.read_text(encoding="utf-8").splitlines()
    if name == "r.csv":
        assert [line.split(",")[:3] for line in lines[1:]] == [
            ["1", "completed", "Done."],
            ["2", "completed", "Done."],
        ]
    else:
        assert [json.loads(line)["custom_id"] for line in lines] == ["1", "2"]


def test_without_a_server_and_a_file_the_results_go_to_stdout(tasks: Path) -> None:
    done = local(tasks, "--team", "writers")

    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["completed"] * 2


def test_items_that_fail_make_the_status_1(tasks: Path) -> None:
    assert local(tasks, "--team", "failures").exit_code == 1


def test_items_that_fail_are_rows_and_no_lines_of_a_log(
    tasks: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tasks.write_text(
        '{"input": "a", "custom_id": "x"}\n' + '{"input": "b"}\n' * 29, encoding="utf-8"
    )
    done = local(tasks, "--team", "failures")

    rows = [line for line in done.stderr.splitlines() if ": failed: " in line]
    assert len(rows) == 20  # of 30; the results have them all
    assert any(row.startswith("x: failed: ") for row in rows)
    assert caplog.records == []


def test_a_row_is_shown_above_the_bar_of_a_terminal() -> None:
    text = io.StringIO()
    with BatchProgress(Console(file=text, force_terminal=True, width=120)) as progress:
        progress.say("x: failed: No.")

    assert "x: failed: No." in text.getvalue()


def test_an_item_that_asks_a_person_is_refused(tasks: Path) -> None:
    assert isinstance(local(tasks, "--team", "asking").exception, UsageError)


@pytest.mark.parametrize("times", [1, 50])  # `timeout` sends SIGINT to the group, too
def test_ctrl_c_keeps_what_has_ended_without_a_server(times: int, tmp_path: Path) -> None:
    tasks, config, output = (tmp_path / name for name in ("t.jsonl", "c.yaml", "r.jsonl"))
    tasks.write_text('{"input": "a"}\n' * 8_000, encoding="utf-8")
    config.write_text(TEAM, encoding="utf-8")
    options = ["--local", "--team", "writers", "--config", str(config), "--output", str(output)]
    command = [sys.executable, "-m", "teamrun.cli", "batch", str(tasks), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if " ended" in line and not line.startswith("in_progress: 0 "):
                for _ in range(times):
                    process.send_signal(signal.SIGINT)
                break
        told = process.stderr.read()

    lines = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert process.returncode == 130
    assert "Traceback" not in told
    assert 0 < len(lines) < 8_000
    assert {line["status"] for line in lines} == {"completed"}


STOPPING = """\
import asyncio
import signal

async def stop() -> str:
    "Never end."
    signal.raise_signal(signal.SIGINT)
    await asyncio.Event().wait()
    return "never"
"""


def test_ctrl_c_before_an_item_has_ended_is_told(tmp_path: Path) -> None:
    (tmp_path / "stopping.py").write_text(STOPPING, encoding="utf-8")
    (tmp_path / "t.jsonl").write_text('{"input": "a"}\n', encoding="utf-8")
    (tmp_path / "teamrun.yaml").write_text(
        "version: 1\n"
        "models:\n"
        "  m: {type: scripted, script: [{tool_calls: [{name: stop, arguments: {}}]}, ok]}\n"
        "tools: {stop: {type: function, function: 'stopping:stop'}}\n"
        "agents: {a: {model: m, tools: [stop]}}\n"
        "teams: {t: {type: round_robin_group_chat, agents: [a], max_turns: 1}}\n",
        encoding="utf-8",
    )
    options = ["--local", "--team", "t", "--output", "r.jsonl"]
    done = subprocess.run(
        [sys.executable, "-m", "teamrun.cli", "batch", "t.jsonl", *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 130
    assert "no file was written" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "r.jsonl").exists()


def test_invalid_lines_are_named_without_a_server_too(tasks: Path) -> None:
    tasks.write_text('{"input": "a"}\n{"imput": "b"}\n', encoding="utf-8")
    error = local(tasks, "--team", "writers").exception

    assert isinstance(error, InvalidItems)
    assert [each["line"] for each in error.problems] == [2]


def states(total: int) -> list[Batch]:
    found = [batch(queued=total - done, completed=done) for done in range(total + 1)]
    return [Batch.model_validate(each) for each in found]


def test_a_terminal_has_a_bar() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    with BatchProgress(console) as progress:
        for each in states(3):
            progress.take(each)

    assert "3 of 3 ended" in text.getvalue()
    assert "100%" in text.getvalue()


def test_without_a_terminal_there_are_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with BatchProgress(Console(file=io.StringIO())) as progress:
        for each in states(1_000):
            progress.take(each)

    lines = capsys.readouterr().err.splitlines()
    assert 10 <= len(lines) <= 12


def test_a_summary_has_counts_cost_and_time() -> None:
    usage = {"input_tokens": 1, "output_tokens": 1, "cost_usd": "0.5"}
    more = {"usage": usage, "expected_cost_usd": "2", "seconds_left": 90.0, "skipped": 3}
    made = Batch.model_validate({**batch(queued=3, completed=4, failed=1), **more})

    assert summary(made) == (
        "5 of 8 ended, 1 failed, 3 skipped, $0.50 of about $2.00, 0.0/s, 0:01:30 left"
    )
