"""No number, switch or version of a definition is made of a value of another kind."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError, create_model

from teamrun.components.definitions import agents, base, conditions, contexts, profiles, teams
from teamrun.components.reading import tools
from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError
from teamrun.models import options
from teamrun.models.bedrock import options as of_bedrock
from teamrun.models.ollama import options as of_ollama
from teamrun.models.openai import options as of_openai
from teamrun.models.script import ScriptedOptions

MODELS = [
    value
    for module in (
        *(agents, base, conditions, contexts, profiles, teams, tools),
        *(options, of_bedrock, of_ollama, of_openai),
    )
    for value in vars(module).values()
    if isinstance(value, type)
    and issubclass(value, BaseModel)
    and value.__module__ == module.__name__
]
MODELS.append(ScriptedOptions)


def kinds(annotation: Any) -> Iterator[Any]:
    """The plain types that a field takes."""
    if get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            yield from kinds(each)
    elif get_origin(annotation) is Annotated:
        yield from kinds(get_args(annotation)[0])
    else:
        yield annotation


def fields() -> Iterator[tuple[type[BaseModel], str, type]]:
    for model in MODELS:
        for name, field in model.model_fields.items():
            for kind in kinds(field.annotation):
                if kind in (int, float, bool):
                    yield model, name, kind


FIELDS = sorted(fields(), key=lambda each: (each[0].__name__, each[1]))
WRONG: dict[type, list[Any]] = {
    int: [True, False, 4.0, "many", 10**30, [4], float("inf"), float("nan")],
    float: [True, False, "much", [4], float("inf"), float("nan")],
    bool: [1, 0, 1.0, "perhaps", []],
}


def accepted(model: type[BaseModel], name: str, value: Any) -> bool:
    field: Any = model.model_fields[name]
    try:
        create_model("One", value=(field.annotation, field)).model_validate({"value": value})
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("model", "name", "kind"), FIELDS, ids=[f"{each[0].__name__}-{each[1]}" for each in FIELDS]
)
def test_a_field_takes_values_of_its_kind_alone(
    model: type[BaseModel], name: str, kind: type
) -> None:
    of_profiles = (
        options.ProfileOptions,
        profiles.BreakerOptions,
        profiles.CacheOptions,
        profiles.FallbackOptions,
        profiles.PaceOptions,
    )
    texts = [] if issubclass(model, of_profiles) else ["4", "yes", "true"]
    wrong = [*WRONG[kind], *texts]

    assert [value for value in wrong if accepted(model, name, value)] == []


def test_the_fields_of_all_definitions_are_found() -> None:
    found = {(model.__name__, name) for model, name, _ in FIELDS}

    assert {
        ("BaseTeamDefinition", "max_turns"),
        ("TimeoutDefinition", "timeout_seconds"),
        ("_ChatOptions", "seed"),
        ("_FunctionTool", "approval"),
    } <= found


FILE = """
version: 1
models: {m: {type: scripted, script: [Hello]}}
tools: {size: {function: "builtins:len"}}
agents: {a: {model: m, tools: [size]}}
teams:
  t: {type: round_robin_group_chat, agents: [a], max_turns: 4}
"""


def faults(folder: Path, text: str) -> list[str]:
    """The pointers of the problems."""
    path = folder / "teamrun.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        load_registry(path, environ={"SET": "4"})
    except DefinitionError as error:
        assert not re.search(r"Input|pydantic|validation|[Tt]uple|dict\b", error.message)
        return [problem["pointer"] for problem in error.data["problems"]]
    return []


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("max_turns: 4", "max_turns: yes", "/teams/t/max_turns"),
        ("max_turns: 4", "max_turns: '4'", "/teams/t/max_turns"),
        ("max_turns: 4", f"max_turns: {'9' * 40}", "/teams/t/max_turns"),
        ("max_turns: 4", "max_turns: '${SET}'", "/teams/t/max_turns"),
        ("version: 1", "version: true", "/version"),
        ("version: 1", "version: [1]", "/version"),
        ('len"', 'len", approval: "yes"', "/tools/size/approval"),
        ('len"', 'len", timeout: 1e300', "/tools/size/timeout"),
        ("[Hello]", "[Hello], latency_ms: 1e300", "/models/m/latency_ms"),
        ("[Hello]", "[Hello], latency_ms: on", "/models/m/latency_ms"),
        ("[Hello]", "[Hello], price: {input: yes, output: 1}", "/models/m/price/input"),
        ("[a]", "[]", "/teams/t/agents"),
        ("round_robin_group_chat", "selector_group_chat, model: m", "/teams/t/agents"),
        ("max_turns: 4", "termination: {type: source_match, sources: a}",
         "/teams/t/termination/sources"),
        ("  t:", "  a b:", "/teams/a b"),
        ("{a: ", "{5: ", "/agents/5"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_or_size_is_refused_at_its_place_and_nothing_else_is(
    tmp_path: Path, old: str, new: str, where: str
) -> None:
    text = FILE.replace(old, new)
    if new.startswith("{5"):
        text = text.replace("agents: [a]", "agents: ['5']")

    assert (faults(tmp_path, FILE), faults(tmp_path, text)) == ([], [where])


@pytest.mark.parametrize("value", ["1", "'1'", "1.0", "'1.0'", "null"])
def test_the_version_may_be_a_number_or_a_text(tmp_path: Path, value: str) -> None:
    assert faults(tmp_path, FILE.replace("version: 1", f"version: {value}")) == []


def test_a_profile_takes_numbers_and_switches_as_texts_because_variables_are_texts(
    tmp_path: Path,
) -> None:
    options = (
        "model: gpt-4o, api_key: x, seed: '${SET}', temperature: '${SET}', include_usage: 'no'"
    )
    text = f"models: {{far: {{type: openai, {options}}}}}"

    assert faults(tmp_path, text) == []


def test_a_variable_in_place_of_a_number_is_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "teamrun.yaml"
    path.write_text(FILE.replace("max_turns: 4", "max_turns: '${SET:-4}'"), encoding="utf-8")

    with pytest.raises(DefinitionError) as caught:
        load_registry(path, environ={})
    assert caught.value.code == "invalid_definition"


@pytest.mark.behaviour("config.faults.consequences")
@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("agents: {a: ", "agnets: {a: ", "/agnets"),
        ("agents: {a: {model: m, tools: [size]}}", "agents: [{name: a, model: m}]", "/agents"),
        ("models: {m:", "modles: {m:", "/modles"),
        ("models: {m: {type: scripted, script: [Hello]}}", "models: {m: 'openai:x'}", "/models/m"),
        ("models: {m: {type: scripted, script: [Hello]}}",
         "models: [{type: scripted, script: [Hello]}]", "/models/0/name"),
        ("tools: {size: {function: \"builtins:len\"}}", "tools: [size]", "/tools"),
        ("tools: {size:", "tolls: {size:", "/tolls"),
        ("agents: [a], max_turns: 4", "agents: a, output: a", "/teams/t/agents"),
        ("agents: [a], max_turns: 4", "agents: [], output: a", "/teams/t/agents"),
        ("agents: [a]", "agents: ['${NOPE}']", "/teams/t/agents/0"),
        ("model: m,", "model: '${NOPE}',", "/agents/a/model"),
        ("tools: [size]}", "tools: [size], handoffs: [a]}", "/agents/a/handoffs/0"),
    ],
)  # fmt: skip
def test_consequences_of_a_problem_are_not_reported(
    tmp_path: Path, old: str, new: str, where: str
) -> None:
    assert old in FILE
    assert faults(tmp_path, FILE.replace(old, new)) == [where]
