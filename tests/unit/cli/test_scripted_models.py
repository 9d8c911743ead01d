"""Output of the command line about a script that replaces a model."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from teamrun.cli import serve
from teamrun.cli.app import app
from teamrun.components.team_file import load_registry
from teamrun.errors import UsageError

FILE = """\
version: 1
models:
  main: {type: openai, model: gpt-4.1-mini, api_key: "${POETS_KEY}", fallback: written}
  written: {type: scripted, script: ["Rain."]}
agents:
  poet: {model: main}
teams:
  poets: {type: round_robin_group_chat, agents: [poet], max_turns: 1}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("POETS_KEY", raising=False)
    path = tmp_path / "teamrun.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_run_warns_on_stderr_before_the_team_speaks(config: Path) -> None:
    result = CliRunner().invoke(app, ["run", "poets", "rain", "--config", str(config)])

    assert result.exit_code == 0
    assert "Rain." in result.stdout
    assert "POETS_KEY" in result.stderr and "POETS_KEY" not in result.stdout


@pytest.mark.parametrize(
    "reach", [["--host", "0.0.0.0"], ["--redis-url", "redis://redis.example:6379"]]
)
def test_serve_does_not_start_if_others_can_reach_it(
    reach: list[str], config: Path, tmp_path: Path
) -> None:
    arguments = ["serve", *reach, "--config", str(config), "--data-dir", str(tmp_path / "data")]

    result = CliRunner().invoke(app, arguments)

    assert isinstance(result.exception, UsageError)
    assert "POETS_KEY" in str(result.exception)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("key", "answerer"), [(None, "SCRIPT written"), ("k", "gpt-4.1-mini")])
def test_serve_prints_teams_models_and_a_next_command(
    key: str | None, answerer: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = load_registry(config, environ={"POETS_KEY": key} if key else {})

    serve.introduce(registry.teams(), "http://127.0.0.1:9999")

    shown = capsys.readouterr().err
    assert "poets" in shown and answerer in shown
    assert "teamrun submit poets" in shown and "--url http://127.0.0.1:9999" in shown
    assert ("POETS_KEY" in shown) is (key is None)
