"""No member of a team is named like the team's own part in a saved state."""

from typing import Any

import pytest

from teamrun.agents import AssistantAgent
from teamrun.components.definitions.kinds import TEAMS
from teamrun.components.registry import Registry
from teamrun.core.component.table import BY_PROVIDER, load
from teamrun.errors import DefinitionError
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel

WITH_MEMBERS = [type for type in TEAMS.types if type != "custom_team"]  # its code has the members
GRAPH: dict[str, Any] = {"nodes": {"other": {"edges": []}}}


def spec(type: str, name: str) -> dict[str, Any]:
    agents = [
        {"name": each, "model": "main", "handoffs": ["user"]} for each in ("other", "third", name)
    ]
    fields: dict[str, Any] = {"type": type, "agents": agents, "max_turns": 1}
    if type in ("selector_group_chat", "magentic_one"):
        fields["model"] = "main"
    return {**fields, "graph": GRAPH} if type == "graph_flow" else fields


@pytest.mark.parametrize("type", WITH_MEMBERS)
def test_a_definition_has_no_member_of_that_name(type: str) -> None:
    registry = Registry.of(models={"main": ScriptedModel([])}, teams={})
    name = TEAMS[type].manager_name
    registry.resolve(team_spec=spec(type, "another"))

    with pytest.raises(DefinitionError, match=f"may be named '{name}'.*another name") as caught:
        registry.resolve(team_spec=spec(type, name))

    assert caught.value.pointer == "/team_spec/agents/2/name"
    assert len(caught.value.data["problems"]) == 1


@pytest.mark.parametrize("type", WITH_MEMBERS)
def test_the_name_is_that_of_the_class(type: str) -> None:
    kind = TEAMS[type]
    cls = load(BY_PROVIDER[kind.autogen or ""].cls)

    assert kind.manager_name == (cls._manager_class or f"{cls.__name__}Manager")


def test_a_team_of_the_library_has_no_member_of_that_name() -> None:
    agent = AssistantAgent("RoundRobinGroupChatManager", ScriptedModel([]))

    with pytest.raises(ValueError, match=r"'RoundRobinGroupChatManager'.*another name"):
        RoundRobinGroupChat([agent])
