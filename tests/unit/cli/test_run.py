"""`teamrun run`: refusals, and input of a person."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from tests.support.run_cases import CASES
from tests.support.terminal import at_terminal
from tests.support.ways_to_run import Case, case, run_by_library, written
from typer.testing import CliRunner

from teamrun.cli.app import app
from teamrun.cli.terminal import NoLongerAsked, Terminal
from teamrun.errors import FatalToolError, UsageError

APPROVAL = next(case for case in CASES if case.id == "approved")
PERSON = next(case for case in CASES if case.id == "a person")


@pytest.mark.parametrize("case", [APPROVAL, PERSON], ids=lambda case: case.id)
def test_without_a_terminal_nothing_is_answered_in_a_persons_place(
    case: Case, tmp_path: Path
) -> None:
    config = written(case, tmp_path)

    result = CliRunner().invoke(app, ["run", "t", "go", "--config", str(config)])

    assert isinstance(result.exception, UsageError)
    assert ("--yes" in str(result.exception)) is (case is APPROVAL)
    assert not (tmp_path / "paid").exists()


def test_without_a_terminal_the_library_refuses_a_call_that_needs_approval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = written(APPROVAL, tmp_path)
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)

        with pytest.raises(FatalToolError):
            asyncio.run(run_by_library(config))

    assert not (tmp_path / "paid").exists()


def test_a_tool_whose_parameter_has_no_schema_is_refused_with_its_place(tmp_path: Path) -> None:
    config = written(case("", ["Hello"], tools=["pay"]), tmp_path)
    module = next(tmp_path.glob("*.py"))
    module.write_text("class Odd: ...\n\ndef pay(x: Odd) -> str:\n    'Pay.'\n", encoding="utf-8")

    result = CliRunner().invoke(app, ["run", "t", "go", "--config", str(config)])

    assert isinstance(result.exception, UsageError)
    text = str(result.exception)
    assert [part in text for part in ("teamrun.yaml:", "/tools/pay", "'x'", "Odd")] == [True] * 4
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("team", "more"),
    [("none", ()), ("none.json", ()), ("t", ("--max-cost-usd", "free")), ("t", ("--model", "x"))],
)
def test_wrong_use_is_refused_before_anything_begins(
    team: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    config = written(CASES[0], tmp_path)

    result = CliRunner().invoke(app, ["run", team, "go", "--config", str(config), *more])

    assert isinstance(result.exception, UsageError)
    assert result.stdout == ""


def test_a_model_for_all_agents_stands_for_models_that_have_no_profile(tmp_path: Path) -> None:
    config = written(CASES[0], tmp_path)
    profile = next(iter(yaml.safe_load(config.read_text(encoding="utf-8"))["models"]))
    spec = {"type": "round_robin_group_chat", "agents": [{"name": "a", "model": "gpt-99"}]}
    team = tmp_path / "exported.json"
    team.write_text(json.dumps({**spec, "max_turns": 1}), encoding="utf-8")

    arguments = ["run", str(team), "go", "--config", str(config)]
    refused = CliRunner().invoke(app, arguments)
    result = CliRunner().invoke(app, [*arguments, "--model", profile])

    assert isinstance(refused.exception, UsageError)
    assert result.exit_code == 0


def test_a_fault_of_the_file_of_teams_is_not_said_to_be_in_the_definition(tmp_path: Path) -> None:
    config = written(CASES[0], tmp_path)
    config.write_text(f"{config.read_text(encoding='utf-8')}\nextra: 1\n", encoding="utf-8")
    team = tmp_path / "team.json"
    team.write_text('{"type": "round_robin_group_chat", "agents": []}', encoding="utf-8")

    result = CliRunner().invoke(app, ["run", str(team), "go", "--config", str(config)])

    assert isinstance(result.exception, UsageError)
    text = str(result.exception)
    assert (config.name in text, team.name in text) == (True, False)


def test_a_line_that_was_half_written_when_its_question_closed_is_dropped() -> None:
    with at_terminal([]) as person:
        os.write(person, b"half")
        terminal = Terminal(sys.stdin.fileno())
        with pytest.raises(NoLongerAsked):
            terminal.read("? ", lambda: False)
        os.write(person, b"whole\n")

        assert terminal.read("? ", lambda: True) == "whole"


EUROS = '{"type": "object", "properties": {"euros": {"type": "integer"}}}'


def test_the_output_in_the_form_of_a_schema_is_shown(tmp_path: Path) -> None:
    script = {"output-schema": [{"content": {"euros": 3}}]}
    config = written(case("", ["Three"], script=script), tmp_path)
    schema = tmp_path / "euros.json"
    schema.write_text(EUROS, encoding="utf-8")
    arguments = ["run", "t", "go", "--config", str(config)]

    shown = CliRunner().invoke(app, [*arguments, "--output-schema", str(schema)])

    assert shown.exit_code == 0
    assert 'output: {"euros": 3}\n' in shown.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "is not a JSON object"),
        (None, "cannot be read"),
        ('{\n  "type": "object",\n  "propertes": {}\n}', "euros.json:3: /propertes: 'propertes'"),
        ('{"type": "array"}', "euros.json:1: /type: The output is an object"),
    ],
)
def test_a_bad_schema_is_refused_with_its_line(text: str | None, says: str, tmp_path: Path) -> None:
    config = written(CASES[0], tmp_path)
    schema = tmp_path / "euros.json"
    if text is not None:
        schema.write_text(text, encoding="utf-8")
    arguments = ["run", "t", "go", "--config", str(config), "--output-schema", str(schema)]

    refused = CliRunner().invoke(app, arguments)

    assert isinstance(refused.exception, UsageError)
    assert says in str(refused.exception)
