"""`teamrun check`: every fault of a definition file at once, each with its place."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from teamrun.cli.app import app
from teamrun.errors import DefinitionError, UsageError

GOOD = """\
version: 1
models:
  m: {type: scripted, script: [Hello]}
  far: {type: openai, model: gpt-4.1-mini, api_key: "${POETS_KEY}"}
agents:
  a: {model: m}
  b: {model: far}
teams:
  t: {type: round_robin_group_chat, agents: [a, b], max_turns: 1}
"""
BAD = """\
version: 1
models:
  m: {type: scripted, script: [Hello]}
agents:
  a: {model: n}
  b: {modle: m}
teams:
  t: {type: round_robin_group_chat, agents: [a, c], max_turns: 0}
"""


def test_a_file_without_faults_is_status_0_and_missing_keys_are_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POETS_KEY", raising=False)
    path = tmp_path / "teamrun.yaml"
    path.write_text(GOOD, encoding="utf-8")

    done = CliRunner().invoke(app, ["check", "--config", str(path)])

    assert done.exit_code == 0
    assert "t" in done.stdout
    assert "POETS_KEY" in done.stderr


def test_a_team_that_never_ends_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "teamrun.yaml"
    shown: list[bool] = []
    for text in (GOOD, GOOD.replace(", max_turns: 1", "")):
        path.write_text(text, encoding="utf-8")
        done = CliRunner().invoke(app, ["check", "--config", str(path)])
        assert done.exit_code == 0
        shown.append("'t' never ends" in done.stderr)
    assert shown == [False, True]


@pytest.mark.behaviour("config.faults")
def test_every_fault_is_printed_with_file_line_and_place(tmp_path: Path) -> None:
    path = tmp_path / "teamrun.yaml"
    path.write_text(BAD, encoding="utf-8")

    done = CliRunner().invoke(app, ["check", "--config", str(path)])

    assert isinstance(done.exception, UsageError)
    text = str(done.exception)
    places = ["teamrun.yaml:5: /agents/a", "teamrun.yaml:6: /agents/b", "teamrun.yaml:8: /teams/t"]
    assert [place in text for place in places] == [True] * 3


def test_tools_are_imported_and_their_faults_are_printed_as_well(tmp_path: Path) -> None:
    (tmp_path / "check_tools.py").write_text(
        "class Odd: ...\n\ndef one(x: Odd) -> str:\n    'One.'\n\ndef two(*x: int) -> str:\n"
        "    'Two.'\n",
        encoding="utf-8",
    )
    path = tmp_path / "teamrun.yaml"
    tools = "".join(
        f'  {name}: {{type: function, function: "check_tools:{name}"}}\n' for name in ("one", "two")
    )
    path.write_text(f"{GOOD}tools:\n{tools}", encoding="utf-8")

    done = CliRunner().invoke(app, ["check", "--config", str(path)])

    assert isinstance(done.exception, UsageError)
    assert [f"/tools/{name}" in str(done.exception) for name in ("one", "two")] == [True] * 2


MIXED = """\
models: {m: {type: scripted, script: [Hello]}}
tools:
  gone: {function: "absent_module:f"}
  also: {function: "another_absent_module:f"}
agents:
  a: {model: m, tools: [gone]}
teams:
  t: {type: round_robin_group_chat, agents: [a], max_turns: 1}
"""
IMPORTS = ["teamrun.yaml:3: /tools/gone/function", "teamrun.yaml:4: /tools/also/function"]
FORM = "  b: {modle: m}\n"


def test_a_team_that_cannot_be_built_is_given_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "own_agents.py").write_text("def make(**_): raise ValueError('no')\n", "utf-8")
    path = tmp_path / "teamrun.yaml"
    path.write_text(
        "agents:\n  own: {class: 'own_agents:make'}\nteams:\n"
        "  t: {type: round_robin_group_chat, agents: [own], max_turns: 1}\n",
        encoding="utf-8",
    )

    done = CliRunner().invoke(app, ["check", "--config", str(path)])

    assert isinstance(done.exception, UsageError)
    assert str(done.exception).startswith("teamrun.yaml:4: /teams/t: ")


@pytest.mark.parametrize("command", [["check"], ["run", "t", "go"]], ids=lambda c: c[0])
@pytest.mark.parametrize("form", ["", FORM], ids=["imports", "form and imports"])
def test_each_command_prints_all_faults_of_the_file_at_once(
    command: list[str], form: str, tmp_path: Path
) -> None:
    path = tmp_path / "teamrun.yaml"
    path.write_text(MIXED.replace("teams:", f"{form}teams:"), encoding="utf-8")

    done = CliRunner().invoke(app, [*command, "--config", str(path)])

    assert isinstance(done.exception, UsageError)
    places = [*IMPORTS, *(["teamrun.yaml:7: /agents/b/modle"] if form else [])]
    assert [place for place in places if place not in str(done.exception)] == []


def check(folder: Path, text: str) -> Result:
    path = folder / "teamrun.yaml"
    path.write_text(text, encoding="utf-8")
    return CliRunner().invoke(app, ["check", "--config", str(path)])


TEAMS = "".join(
    f"  t{number}: {{type: round_robin_group_chat, agents: [a], max_turns: 1}}\n"
    for number in range(3)
)
SEVERAL = "models:\n  m: {}\nagents:\n  a: {{model: m}}\nteams:\n" + TEAMS.replace(
    "{", "{{"
).replace("}", "}}")


@pytest.mark.parametrize(
    ("profile", "where"),
    [
        ("{type: scripted, script: {a: [{content: z, latency_ms: 5}]}}", "/script/a/0/latency_ms"),
        ("{type: scripted, script: {a: [{tool_calls: [{}]}]}}", "/script/a/0/tool_calls/0/name"),
        ("{type: scripted, script: [x, 5]}", "/script/1"),
        ("{type: scripted, script: {a: x}}", "/script/a"),
        ("{type: scripted, script: []}", "/script"),
        ("{type: openai, model: m, api_key: x, model_info: {visio: true}}", ""),
        ("{type: openai, model: m, api_key: x, base_url: '${NOPE:-htp://h/Pa55}'}", "/base_url"),
        ("{type: openai, model: m, api_key: x, base_url: 'u:Pa55@h/v1'}", "/base_url"),
    ],
)
def test_a_fault_of_a_model_profile_is_printed_once_at_the_profile_however_many_teams_use_it(
    tmp_path: Path, profile: str, where: str
) -> None:
    done = check(tmp_path, SEVERAL.format(profile))

    assert isinstance(done.exception, DefinitionError)
    problems = done.exception.data["problems"]
    assert [problem["pointer"] for problem in problems] == [f"/models/m{where}"]
    assert str(done.exception).startswith(f"teamrun.yaml:2: /models/m{where}: ")
    assert "Pa55" not in str(done.exception)


def test_a_fault_of_a_script_file_is_at_the_profile_with_its_place_in_the_script(
    tmp_path: Path,
) -> None:
    (tmp_path / "words.yaml").write_text("a: [{contnt: x}]\n", encoding="utf-8")

    done = check(tmp_path, SEVERAL.format("{type: scripted, script_file: words.yaml}"))

    assert isinstance(done.exception, DefinitionError)
    assert str(done.exception).startswith("teamrun.yaml:2: /models/m/script_file/a/0/contnt: ")


def test_answers_for_an_agent_that_the_file_does_not_have_are_a_warning_with_its_line(
    tmp_path: Path,
) -> None:
    done = check(tmp_path, SEVERAL.format("{type: scripted, script: {a: [x], b: [y]}}"))

    assert done.exit_code == 0
    assert "teamrun.yaml:2: /models/m/script/b: " in done.stderr


@pytest.mark.parametrize("url", ["htps://svc:{}@gw/v1", "svc:{}@gw/v1", "http://svc:{}#@gw/v1"])
@pytest.mark.parametrize("way", ["written", "variable", "default"])
def test_an_address_that_is_no_url_is_a_fault_and_is_not_repeated(
    url: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = url.format("s3cr3tPW")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_BASE_URL" if way == "default" else "GATEWAY", address)
    option = {"written": f", base_url: '{address}'", "variable": ", base_url: '${GATEWAY}'"}
    path = tmp_path / "teamrun.yaml"
    path.write_text(
        "version: 1\n"
        f"models: {{m: {{type: openai, model: gpt-4o, api_key: k{option.get(way, '')}}}}}\n"
        "agents: {a: {model: m}}\n"
        "teams: {t: {type: round_robin_group_chat, agents: [a], max_turns: 1}}\n",
        encoding="utf-8",
    )

    done = CliRunner().invoke(app, ["check", "--config", str(path)])

    assert isinstance(done.exception, UsageError)
    assert "/models/m" in str(done.exception)
    assert "s3cr3tPW" not in f"{done.exception} {done.output}"
