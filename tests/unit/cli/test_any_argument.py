"""Arguments of commands lead to no other resource, no traceback and no secret in a message."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from teamrun.cli.app import app
from teamrun.cli.server import connect
from teamrun.components.reading.json_text import load_json
from teamrun.errors import RunNotFound, TeamrunError, Unavailable, UsageError


@pytest.mark.parametrize(
    "url", ["http://user:s3cr3t@127.0.0.1:1", "htp://u:s3cr3t@h", "http://u:s3cr3t@h:99999"]
)
def test_a_password_in_the_url_is_in_no_message(url: str) -> None:
    with pytest.raises(TeamrunError) as caught:
        connect(url, None).runs.get("run_1")

    assert "s3cr3t" not in str(caught.value)
    assert isinstance(caught.value, UsageError | Unavailable)


REFUSED: list[list[str]] = [
    ["answer", "run_1", "--approve", "--reject"],
    ["answer", "run_1", "--reject", "--approve"],
    ["answer", "run_1", "--data", "NaN"],
    ["answer", "run_1", "--data", "1e999"],
    ["answer", "run_1", "--data", "[" * 5000],
    ["submit", "t", "x", "--delay-seconds", "nan"],
    ["submit", "t", "x", "--timeout-seconds", "inf"],
    ["submit", "t", "x", "--idempotency-key", "é"],
    ["submit", "t", "x", "--idempotency-key", "a\nb"],
    ["delete", "."],
    ["cancel", ".."],
]


@pytest.mark.parametrize("arguments", REFUSED, ids=[" ".join(each)[:40] for each in REFUSED])
def test_a_question_without_a_terminal_is_wrong_use(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, [*arguments, "--url", "http://127.0.0.1:1"])

    assert isinstance(done.exception, UsageError)


def test_replay_creates_no_folder_and_looks_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "teamrun.yaml").write_text("teams: {}\nversion: 1\n", encoding="utf-8")
    absent = tmp_path / "absent"
    config = ["--config", str(tmp_path / "teamrun.yaml")]

    there = CliRunner().invoke(app, ["replay", "run_1", "--data-dir", str(absent), *config])
    outside = CliRunner().invoke(app, ["replay", "../../x", "--data-dir", str(tmp_path), *config])

    assert isinstance(there.exception, UsageError)
    assert not absent.exists()
    assert isinstance(outside.exception, RunNotFound | UsageError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["teamrun.yaml"]


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", "9" * 5000, "[" * 100_000])
def test_json_that_python_alone_takes_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        load_json(text)
