"""Errors of `teamrun.yaml`: all are reported, each with its line and location."""

from pathlib import Path
from textwrap import dedent

import pytest

from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError


def load(folder: Path, text: str, **environ: str) -> Registry:
    path = folder / "teamrun.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return load_registry(path, environ=environ)


def refused(folder: Path, text: str) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        load(folder, text)
    return caught.value


@pytest.mark.parametrize("text", ["", "# later\n", "{}"])
def test_an_empty_file_is_refused_with_one_to_begin_with(tmp_path: Path, text: str) -> None:
    error = refused(tmp_path, text)

    assert "is empty" in error.message
    assert load(tmp_path, error.message.partition("\n\n")[2], OPENAI_API_KEY="x").teams()


FAULTY = """
    version: 1
    models:
      main: {type: openai, modl: gpt-4o}
      small: {type: scripted, script: [hello]}
    tools:
      size: {type: function, function: "builtins:len", effects: write, cache_results: true}
      half: {type: function, function: nonsense}
    agents:
      writer: {model: main, tools: [size, half], max_tool_iterations: 0}
      editor: {model: smal}
    teams:
      desk:
        type: selector_group_chat
        agents: [writer, editor, critic]
        model: small
        max_rounds: zero
"""


@pytest.mark.behaviour("config.faults", "config.faults.consequences")
def test_every_fault_of_a_file_is_given_with_its_line_and_place_and_none_only_follows(
    tmp_path: Path,
) -> None:
    error = refused(tmp_path, FAULTY)

    assert [problem["pointer"] for problem in error.data["problems"]] == [
        "/tools/size/cache_results",
        "/tools/half/function",
        "/models/main/modl",
        "/agents/writer/max_tool_iterations",
        "/agents/editor/model",
        "/teams/desk/agents/2",
        "/teams/desk/max_rounds",
    ]
    first, *lines = error.message.splitlines()
    assert first == "teamrun.yaml has 7 errors:"
    assert [line.split(": ")[0].strip() for line in lines] == [
        f"teamrun.yaml:{number}" for number in (4, 7, 8, 10, 11, 15, 17)
    ]


@pytest.mark.behaviour("config.faults")
def test_names_that_nothing_has_are_given_with_the_other_faults_of_their_team(
    tmp_path: Path,
) -> None:
    text = """
        models: {m: {type: scripted, script: [hello]}}
        agents: {writer: {model: m}}
        teams:
          desk:
            type: round_robin_group_chat
            agents: [writer]
            max_rounds: zero
            output: writr
            termination: {type: source_match, sources: [writr]}
    """

    error = refused(tmp_path, text)

    assert [problem["pointer"] for problem in error.data["problems"]] == [
        "/teams/desk/max_rounds",
        "/teams/desk/termination/sources/0",
        "/teams/desk/output",
    ]


def test_faults_of_the_yaml_itself_are_all_given_with_their_lines(tmp_path: Path) -> None:
    text = """
        version: 1
        version: 2
        agents: &a {}
        teams: *a
        models: !!python/name:os.system {}
    """

    error = refused(tmp_path, text)

    assert [line.split(": ")[0].strip() for line in error.message.splitlines()[1:]] == [
        f"teamrun.yaml:{number}" for number in (3, 5, 6)
    ]


def test_a_text_that_is_not_yaml_is_refused_with_its_line_on_one_line(tmp_path: Path) -> None:
    error = refused(tmp_path, "version: 1\nmodels: [a\nteams: }\n")

    assert error.message.startswith("teamrun.yaml:3: /: ")
    assert "\n" not in error.message


def test_all_tools_and_classes_that_cannot_be_imported_are_given_at_once(tmp_path: Path) -> None:
    text = """
        version: 1
        tools:
          one: {function: "absent_module:f"}
          two: {function: "builtins:absent_function"}
        agents:
          own: {class: "absent_module:Own"}
    """

    with pytest.raises(DefinitionError) as caught:
        load(tmp_path, text).preload()

    assert [line.split(": ")[:2] for line in caught.value.message.splitlines()[1:]] == [
        ["  teamrun.yaml:4", "/tools/one/function"],
        ["  teamrun.yaml:5", "/tools/two/function"],
        ["  teamrun.yaml:7", "/agents/own/class"],
    ]


@pytest.mark.behaviour("config.models.type")
@pytest.mark.parametrize(
    "models",
    ["[{model: gpt-4o}]", "[{model: gpt-4o, name: m}]", "{m: {model_id: gpt-4o}}"],
)
def test_a_profile_with_a_model_alone_is_openais(tmp_path: Path, models: str) -> None:
    name = "gpt-4o" if "m" not in models.replace("model", "") else "m"
    registry = load(tmp_path, f"models: {models}")

    assert registry.model_use(name).type == "openai"


BOTH = """
version: 1
models: {m: {type: scripted, script: [x]}}
tools:
  one: {function: "absent_module:f"}
  two: {function: "leaving_module:f"}
  odd: {function: "builtins:len", efects: none}
agents:
  own: {class: "absent_module:Own"}
  a: {model: m, tools: [one]}
  b: {modle: m}
teams:
  t: {type: round_robin_group_chat, agents: [a], max_turns: 1}
"""
PLACES = [
    ["  teamrun.yaml:4", "/tools/one/function"],
    ["  teamrun.yaml:5", "/tools/two/function"],
    ["  teamrun.yaml:6", "/tools/odd/efects"],
    ["  teamrun.yaml:8", "/agents/own/class"],
    ["  teamrun.yaml:10", "/agents/b/modle"],
]


def places(text: str) -> list[list[str]]:
    lines = [line.split(": ") for line in text.splitlines() if line.startswith("  teamrun.yaml:")]
    return [line[:2] for line in lines]


def test_imports_that_fail_are_given_together_with_faults_of_form(tmp_path: Path) -> None:
    (tmp_path / "teamrun.yaml").write_text(BOTH.lstrip(), encoding="utf-8")
    (tmp_path / "leaving_module.py").write_text("raise SystemExit(3)\n", encoding="utf-8")

    with pytest.raises(DefinitionError) as caught:
        load_registry(tmp_path / "teamrun.yaml", environ={}, imports=True)

    assert places(caught.value.message) == PLACES


def test_a_file_without_faults_of_form_imports_nothing_yet(tmp_path: Path) -> None:
    registry = load(tmp_path, 'tools: {one: {function: "absent_module:f"}}')

    assert registry.imports_code()


def test_a_team_whose_tools_can_be_imported_is_not_kept_from_running_by_others(
    tmp_path: Path,
) -> None:
    text = """
        models: {m: {type: scripted, script: [x]}}
        tools: {good: {function: "json:dumps", description: d}, bad: {function: "absent_module:f"}}
        agents: {a: {model: m}, b: {model: m, tools: [bad]}}
        teams:
          a: {type: round_robin_group_chat, agents: [a], max_turns: 1}
          b: {type: round_robin_group_chat, agents: [b], max_turns: 1}
    """
    registry = load(tmp_path, text)

    registry.preload(registry.resolve(team="a"))
    with pytest.raises(DefinitionError) as caught:
        registry.preload(registry.resolve(team="b"))
    assert "/tools/bad/function" in {each["pointer"] for each in caught.value.data["problems"]}
