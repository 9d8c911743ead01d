"""`docs/reference/definitions.md` lists the fields that definitions take, with their defaults."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from tests.support.pages import page

from teamrun.components.definitions import (
    agents,
    code_executor,
    composed,
    contexts,
    custom_teams,
    graphs,
    profiles,
    staged,
    teams,
)
from teamrun.components.definitions.code_execution import CodeExecutionEntry
from teamrun.components.definitions.kinds import CONDITIONS, TEAMS
from teamrun.components.definitions.magentic_one import MagenticOneDefinition
from teamrun.components.reading.problems import ProblemCode
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError
from teamrun.models.providers import PROVIDERS
from teamrun.testing import ScriptedModel

PAGE = page("docs/reference/definitions.md")
SHARED = set(teams.RoundRobinDefinition.model_fields)
OPENAI = set(PROVIDERS["openai"].options.model_fields)

CASES: dict[str, tuple[type[BaseModel], set[str]]] = {
    "### `openai`": (PROVIDERS["openai"].options, set()),
    "### `azure_openai`": (PROVIDERS["azure_openai"].options, OPENAI),
    "### `anthropic`": (PROVIDERS["anthropic"].options, set()),
    "### `bedrock`": (PROVIDERS["bedrock"].options, set()),
    "### `mistral`": (PROVIDERS["mistral"].options, OPENAI - {"seed"}),
    "### `ollama`": (PROVIDERS["ollama"].options, set()),
    "### `scripted`": (PROVIDERS["scripted"].options, set()),
    "### Price": (profiles.PriceOptions, set()),
    "### Limits of the server": (profiles.PaceOptions, set()),
    "### `assistant_agent`": (agents.AssistantDefinition, {"type"}),
    "### Memory": (agents.MemoryDefinition, set()),
    "### `user_proxy_agent`": (agents.UserProxyDefinition, {"type"}),
    "### `code_executor_agent`": (code_executor.CodeExecutorDefinition, {"type"}),
    "### `society_of_mind_agent`": (composed.SocietyOfMindDefinition, {"type"}),
    "### `message_filter_agent`": (composed.MessageFilterDefinition, {"type"}),
    "### Filter": (composed.SourceFilterDefinition, set()),
    "### Handoff": (agents.HandoffDefinition, set()),
    "### Model context": (contexts.ContextDefinition, set()),
    "### `round_robin_group_chat`": (teams.RoundRobinDefinition, {"type"}),
    "### `selector_group_chat`": (teams.SelectorDefinition, SHARED),
    "### `graph_flow`": (graphs.GraphFlowDefinition, SHARED),
    "### `magentic_one`": (MagenticOneDefinition, SHARED - {"max_turns"}),
    "### `custom_team`": (
        custom_teams.CustomTeamDefinition,
        {"type", *custom_teams.CustomTeamDefinition.not_written},
    ),
    "### `concurrent`": (staged.ConcurrentDefinition, SHARED),
    "### `hierarchical`": (staged.HierarchicalDefinition, SHARED),
    "### `debate`": (staged.DebateDefinition, SHARED),
    "### `competitive`": (staged.CompetitiveDefinition, SHARED),
    "#### Graph": (graphs.GraphDefinition, set()),
    "#### Node": (graphs.NodeDefinition, set()),
    "#### Edge": (graphs.EdgeDefinition, set()),
}
"""The class of each table, and its fields that are documented elsewhere."""


def names_in(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def default_of(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if name == "name" and (field.is_required() or field.default == "team") and field.annotation:
        return "its key"
    if field.is_required():
        return "needed"
    value = None if field.default is PydanticUndefined else field.default
    if value is None or value == ():
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


@pytest.mark.parametrize("heading", CASES)
def test_a_table_lists_every_field_with_its_default(heading: str) -> None:
    model, elsewhere = CASES[heading]

    listed = {names_in(cells[0])[0]: cells[1] for cells in PAGE.table(heading)}

    fields = model.model_fields.keys() - elsewhere
    assert listed == {name: default_of(model, name) for name in fields}


def refused_fields(team: dict[str, Any]) -> set[str]:
    registry = Registry.of(teams={}, models={"m": ScriptedModel([])})
    errors = registry.validate(team_spec=team).errors
    return {fault.pointer for fault in errors if fault.code == "unknown_field"}


@pytest.mark.parametrize(
    "kind",
    TEAMS.types,
)
def test_teams_take_every_name_of_their_fields(kind: str) -> None:
    shared = [] if kind == "custom_team" else ["### `round_robin_group_chat`"]
    headings = [*shared, *({f"### `{kind}`"} & CASES.keys())]
    names = {
        name for heading in headings for row in PAGE.table(heading) for name in names_in(row[0])
    }

    assert refused_fields({"type": kind, **dict.fromkeys(names)}) == set()
    assert refused_fields({"type": kind, "nonsense": 1}) == {"/team_spec/nonsense"}


@pytest.mark.parametrize("kind", ["assistant_agent", "user_proxy_agent"])
def test_agents_take_every_name_of_their_fields(kind: str) -> None:
    names = [name for row in PAGE.table(f"### `{kind}`") for name in names_in(row[0])]
    agent = {"type": kind, **dict.fromkeys(names)}

    assert refused_fields({"type": "round_robin_group_chat", "agents": [agent]}) == set()


def faults_of_file(folder: Path, content: dict[str, Any]) -> Iterable[dict[str, Any]]:
    path = folder / "teamrun.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        load_registry(path, environ={})
    except DefinitionError as error:
        return error.data["problems"]
    return []


@pytest.mark.parametrize("kind", PROVIDERS)
def test_profiles_take_every_name_of_their_fields(kind: str, tmp_path: Path) -> None:
    names = {name for row in PAGE.table(f"### `{kind}`") for name in names_in(row[0])}

    faults = faults_of_file(tmp_path, {"models": {"m": {"type": kind, **dict.fromkeys(names)}}})

    assert [fault for fault in faults if fault["code"] == "unknown_field"] == []


def test_tools_take_the_fields_that_are_listed_and_no_others(tmp_path: Path) -> None:
    names = {name for row in PAGE.table("## Tools") for name in names_in(row[0])}

    [fault] = faults_of_file(tmp_path, {"tools": {"t": {"function": "m:f", "nonsense": 1}}})

    taken = set(re.findall(r"'(\w+)'", fault["detail"].partition("It takes")[2]))
    assert names <= taken | {"type"}
    assert taken - names <= {"cache_results"}


def test_tools_that_execute_code_take_the_fields_that_are_listed_and_no_others() -> None:
    names = {name for row in PAGE.table("### `code_execution`") for name in names_in(row[0])}

    assert names == CodeExecutionEntry.model_fields.keys() - {"name", "type", "where"}


def test_every_condition_is_listed_with_its_fields() -> None:
    models = {kind.type: kind.model for kind in CONDITIONS}
    rows = {names_in(cells[0])[0]: cells[1] for cells in PAGE.table("## Conditions")}

    assert rows.keys() == models.keys()
    for kind, fields in rows.items():
        shown = re.sub(r" \(also [^)]*\)", "", fields)
        defaults = dict(re.findall(r"`(\w+)`(?: = \"?(\w+)\"?)?", shown))
        expected = {
            name: "" if field.is_required() or field.default is None else str(field.default)
            for name, field in models[kind].model_fields.items()
            if name != "type"
        }
        assert {name: value.lower() for name, value in defaults.items()} == {
            name: value.lower() for name, value in expected.items()
        }


def test_every_code_of_a_fault_is_listed() -> None:
    rows = {names_in(cells[0])[0] for cells in PAGE.table("## Error codes")}

    assert rows == set(get_args(ProblemCode))
