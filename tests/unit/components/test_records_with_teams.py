"""Records of AutoGen Studio, which have a team inside, are told from teams."""

from typing import Any

import pytest

from teamrun.components.registry import Registry
from teamrun.testing import ScriptedModel

TEAM: dict[str, Any] = {
    "provider": "autogen_agentchat.teams.RoundRobinGroupChat",
    "component_type": "team",
    "config": {"participants": [], "max_turns": 1},
}


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"id": 1, "user_id": "x", "version": "0.0.1", "component": TEAM}, "/component"),
        ({"id": 1, "config": TEAM}, "/config"),
        ({"name": "g", "components": {"agents": [], "teams": [TEAM]}}, "/components/teams/0"),
        ({"id": 1, "config": {"components": {"teams": [TEAM]}}}, "/config/components/teams/0"),
    ],
)
def test_where_the_team_is_inside_of_a_record_is_said(record: dict[str, Any], place: str) -> None:
    found = Registry.of(teams={}, models={"m": ScriptedModel([])}).validate(team_spec=record)

    (fault,) = found.errors
    assert (fault.pointer, fault.code) == ("/team_spec", "invalid_definition")
    assert repr(place) in fault.detail
    inner: Any = record
    for step in place.split("/")[1:]:
        inner = inner[int(step)] if step.isdigit() else inner[step]
    assert inner is TEAM


@pytest.mark.parametrize("record", [{"components": {"teams": []}}, {"config": 1}, {"component": 2}])
def test_other_objects_are_asked_for_their_type(record: dict[str, Any]) -> None:
    found = Registry.of(teams={}, models={"m": ScriptedModel([])}).validate(team_spec=record)

    assert found.errors[0].pointer == "/team_spec/type"
