"""Objectives and constraints of a team, and its lead."""

from pathlib import Path
from typing import Any

import pytest

from teamrun import AssistantAgent, RoundRobinGroupChat
from teamrun.agents import (
    CodeExecutorAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
    UserProxyAgent,
)
from teamrun.code import LocalCommandLineCodeExecutor
from teamrun.components.building.teams import build_team
from teamrun.components.config_loader import ConfigLoader
from teamrun.components.registry import Registry
from teamrun.errors import DefinitionError
from teamrun.teams import HierarchicalGroupChat
from teamrun.testing import ScriptedModel

TOLD = """Write well.

Objectives of the team desk:
- Sell tea.
- Win.

Constraints that the team desk has to satisfy:
- Be brief."""


def agent(name: str, system_message: str | None = "Write well.") -> AssistantAgent:
    return AssistantAgent(name, ScriptedModel(["x"]), system_message=system_message)


@pytest.mark.filterwarnings("ignore:No approval function")
@pytest.mark.behaviour("pattern.objectives")
async def test_all_members_with_a_model_read_them_in_one_system_message(tmp_path: Path) -> None:
    model, coder = (ScriptedModel([text], record=True) for text in ("x", "no code"))
    executor = LocalCommandLineCodeExecutor(work_dir=tmp_path)
    selection = MessageFilterConfig(per_source=[PerSourceFilter(source="user")])
    a = AssistantAgent("a", model, system_message="Write well.")
    inner = RoundRobinGroupChat([a], max_turns=1)
    members = [
        MessageFilterAgent("f", filtered := agent("b", None), selection),
        inner,
        CodeExecutorAgent("c", executor, model_client=coder, system_message="Write well."),
        CodeExecutorAgent("d", executor),
        UserProxyAgent("u"),
    ]
    team = RoundRobinGroupChat(members, name="desk", max_turns=3)

    assert team.instruct(objectives=["Sell tea.", "Win."], constraints=["Be brief."]) is team

    await team.run(task="go")
    for client in (model, coder):
        seen = client.calls[0].messages
        assert [m.content for m in seen if m.type == "SystemMessage"] == [TOLD]
    assert filtered.system_message == TOLD.removeprefix("Write well.\n\n")


@pytest.mark.behaviour("pattern.objectives")
def test_inner_and_outer_teams_have_their_own() -> None:
    inner = RoundRobinGroupChat([a := agent("a")], name="inner").instruct(objectives=["Draft."])

    RoundRobinGroupChat([inner], name="outer").instruct(constraints=["No jargon."]).instruct()

    assert a.system_message == (
        "Write well.\n\nObjectives of the team inner:\n- Draft.\n\n"
        "Constraints that the team outer has to satisfy:\n- No jargon."
    )


def test_a_team_without_readers_is_refused() -> None:
    with pytest.raises(ValueError, match="write them into the task"):
        RoundRobinGroupChat([UserProxyAgent("u")], name="desk").instruct(objectives=["Win."])


def spec(type: str = "round_robin_group_chat", **fields: Any) -> dict[str, Any]:
    agents = [{"name": name, "model": "m", "system_message": "Write well."} for name in "ab"]
    return {"type": type, "name": "desk", "agents": agents, **fields}


def registry() -> Registry:
    return Registry.of(models={"m": ScriptedModel([])}, teams={"t": spec()})


@pytest.mark.behaviour("pattern.objectives")
def test_a_definition_has_them_and_a_lead() -> None:
    document = spec(
        "hierarchical", lead="b", objectives=["Sell tea.", "Win."], constraints=["Be brief."]
    )

    team = build_team(registry().resolve(team_spec=document).definition, registry())

    assert isinstance(team, HierarchicalGroupChat)
    assert team.dump_component().config["manager"] == "b"
    for member in team.participants:
        assert isinstance(member, AssistantAgent)
        assert member.system_message == TOLD


@pytest.mark.behaviour("pattern.objectives")
@pytest.mark.parametrize(
    ("fields", "pointer", "says"),
    [
        ({"lead": "a"}, "/lead", "of type 'hierarchical' has a lead"),
        ({"type": "hierarchical", "lead": "z"}, "/lead", "'z'"),
        ({"type": "hierarchical", "lead": "a", "manager": "b"}, "/manager", "mean the same"),
        ({"objectives": "Win."}, "/objectives", "'objectives'"),
        ({"constraints": ["", "x"]}, "/constraints/0", "Item 1 of 'constraints'"),
        (
            {"agents": [{"type": "user_proxy_agent", "name": "u"}], "constraints": ["Be brief."]},
            "/constraints",
            "the task",
        ),
    ],
)
def test_a_definition_that_cannot_work_is_refused(
    fields: dict[str, Any], pointer: str, says: str
) -> None:
    with pytest.raises(DefinitionError, match=says) as caught:
        registry().resolve(team_spec={**spec(), **fields})
    assert caught.value.pointer == f"/team_spec{pointer}"


def test_agents_that_a_script_made_read_them_too(tmp_path: Path) -> None:
    path = tmp_path / "teamrun.yaml"
    path.write_text(
        """
models: {m: {type: scripted, script: {a: []}}}
agents: {a: {model: m, system_message: Write well.}}
teams: {t: {type: round_robin_group_chat, agents: [a], objectives: [Win.]}}
""",
        encoding="utf-8",
    )
    config = ConfigLoader.load(path)
    made = config.agents["a"].create_agent()

    config.teams["t"].create_team([made])
    config.teams["t"].create_team([made])

    assert isinstance(made, AssistantAgent)
    assert made.system_message == "Write well.\n\nObjectives of the team t:\n- Win."
