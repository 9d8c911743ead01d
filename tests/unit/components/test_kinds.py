"""A kind of agent, team, condition or tool is one row: everything else follows from it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from teamrun.components.autogen.providers import KINDS, UNSUPPORTED
from teamrun.components.definitions.base import (
    AgentDefinition,
    ConditionDefinition,
    Part,
    ParticipantDefinition,
    TeamDefinition,
)
from teamrun.components.definitions.contexts import CONTEXTS
from teamrun.components.definitions.kinds import AGENTS, CONDITIONS, TEAMS
from teamrun.components.definitions.table import Kind, load
from teamrun.components.definitions.tools import TOOLS

ROWS: list[Kind[Part]] = [*AGENTS, *TEAMS, *CONDITIONS]


def names_of_code() -> Iterable[str]:
    for row in ROWS:
        yield row.build
        yield row.definition
        yield from filter(None, (row.read, row.read_component))
    for tool in TOOLS.values():
        yield from (tool.read, tool.build)
    yield from (context.build for context in CONTEXTS.values())


@pytest.mark.parametrize("name", sorted(set(names_of_code())))
def test_the_code_that_a_row_names_exists(name: str) -> None:
    assert callable(load(name))


def test_no_two_rows_share_a_name_or_a_provider() -> None:
    for table in (AGENTS, TEAMS, CONDITIONS):
        written = [name for row in table for name in (row.type, *row.names)]
        assert len(written) == len(set(written))
        assert not table.planned & set(written)
    paths = [path for kind in KINDS.values() for path in kind]
    assert len(paths) == len(set(paths))
    assert not UNSUPPORTED.keys() & set(paths)


@pytest.mark.behaviour("config.teams")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.type)
def test_a_row_fits_its_definition(row: Kind[Part]) -> None:
    fields = row.model.model_fields.keys()

    assert row.model.model_fields["type"].default == row.type
    assert set(row.aliases.values()) <= fields
    assert set(row.mentions) <= fields
    assert not row.aliases.keys() & fields


def types_in(union: Any) -> set[str]:
    """The types that a fault names as those that it takes."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter[Any](union).validate_python({"type": "none"})
    [error] = refused.value.errors()
    assert error["type"] == "union_tag_invalid"
    return set(re.findall(r"'(\w+)'", error.get("ctx", {})["expected_tags"]))


def test_the_unions_consist_of_the_rows() -> None:
    assert types_in(AgentDefinition) == set(AGENTS.types)
    assert types_in(TeamDefinition) == set(TEAMS.types)
    assert types_in(ConditionDefinition) == set(CONDITIONS.types)
    assert types_in(ParticipantDefinition) == {*AGENTS.types, *TEAMS.types}


@pytest.mark.parametrize("value", [None, "text", [], {}, {"type": None}, {"type": []}])
def test_what_is_no_part_of_a_definition_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter[Any](ParticipantDefinition).validate_python(value)


def test_a_fault_inside_a_part_is_at_its_place() -> None:
    agent = {"type": "assistant_agent", "name": "a", "model": "m", "max_tool_iterations": 0}
    team = {"type": "round_robin_group_chat", "participants": [agent]}

    with pytest.raises(ValidationError) as refused:
        TypeAdapter[Any](TeamDefinition).validate_python(team)

    assert refused.value.errors()[0]["loc"] == ("participants", 0, "max_tool_iterations")


def test_only_the_definitions_of_kinds_in_use_are_imported() -> None:
    program = f"""
import sys
from teamrun.components.registry import Registry
from teamrun.testing import ScriptedModel
agent = {{"name": "a", "model": "m"}}
team = {{"type": "round_robin_group_chat", "agents": [agent], "max_turns": 1}}
Registry.of(models={{"m": ScriptedModel([])}}, teams={{"t": team}})
sys.exit({_UNUSED!r} in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


_UNUSED = "teamrun.components.definitions.conditions"


MODULE = '''
"""A new kind of team, whole."""

from typing import Literal

from teamrun.components.definitions.base import BaseTeamDefinition, ModelName, Uses
from teamrun.teams import RoundRobinGroupChat


class ChorusDefinition(BaseTeamDefinition):
    type: Literal["chorus"] = "chorus"
    model: ModelName

    @property
    def uses(self):
        return Uses(models=(self.model,))


class Chorus(RoundRobinGroupChat):
    pass


def build(definition, participants, options, path, builder):
    builder.model(definition.model, "conductor", f"{path}/conductor")
    return Chorus(participants, **options)
'''
PROGRAM = """
import asyncio, json
from chorus import Chorus
from teamrun.components.definitions import kinds

kinds.TEAMS = kinds.Table(
    *kinds.TEAMS,
    kinds.TeamKind(
        "chorus",
        definition="chorus:ChorusDefinition",
        names=("Chorus",),
        aliases={"agents": "participants", "conductor": "model"},
        build="chorus:build",
        autogen="example.teams.Chorus",
    ),
    planned=kinds.TEAMS.planned,
)

from pydantic import TypeAdapter
from teamrun.components.building.teams import build_team
from teamrun.components.definitions.base import TeamDefinition
from teamrun.components.registry import Registry
from teamrun.testing import ScriptedModel

AGENT = {"name": "a", "model": "m"}
WRITTEN = {"type": "Chorus", "conductor": "m", "agents": [AGENT], "max_turns": 1}
COMPONENT = {
    "provider": "example.teams.Chorus",
    "component_type": "team",
    "config": {"name": "c", "model_client": "m", "participants": [AGENT]},
}
NESTED = {"type": "chorus", "model": "m", "agents": [COMPONENT, {"name": "z", "model": "m"}]}
WRONG = {"type": "chorus", "conductor": "x", "agents": [AGENT]}

registry = Registry.of(
    models={"m": ScriptedModel(["la"] * 9), "n": ScriptedModel([])}, teams={"t": WRITTEN}
)
definition = registry.resolve(team="t").definition
team = build_team(definition, registry)
result = asyncio.run(team.run(task="sing"))
union = TypeAdapter(TeamDefinition)
inside = registry.resolve(team_spec=NESTED).definition.participants
changed = registry.overridden("t", definition, model="n", max_turns=None)
misspelt = registry.validate(team_spec={"type": "chorsu", "agents": [AGENT]}).errors
print(json.dumps({
    "listed": [[summary.name, summary.type] for summary in registry.teams()],
    "built": type(team) is Chorus,
    "ran": result.messages[-1].to_text(),
    "stored": union.validate_json(union.dump_json(definition)) == definition,
    "component": registry.resolve(team_spec=COMPONENT).definition.type,
    "inside": [part.type for part in inside],
    "overridden": sorted(changed.models),
    "faults": [[f.pointer, f.code] for f in registry.validate(team_spec=WRONG).errors],
    "misspelt": misspelt[0].detail,
}))
"""


def test_a_new_team_is_one_row_and_its_own_module(tmp_path: Path) -> None:
    (tmp_path / "chorus.py").write_text(MODULE, encoding="utf-8")
    command = [sys.executable, "-c", f"import sys; sys.path[:] = {[str(tmp_path), *sys.path]!r}\n"]

    done = subprocess.run(
        [*command[:-1], command[-1] + PROGRAM], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "Did you mean 'chorus'?" in found.pop("misspelt")
    assert found == {
        "listed": [["t", "chorus"]],
        "built": True,
        "ran": "la",
        "stored": True,
        "component": "chorus",
        "inside": ["chorus", "assistant_agent"],
        "overridden": ["n"],
        "faults": [["/team_spec/conductor", "unknown_model"]],
    }
