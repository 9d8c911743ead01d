"""Roles of agents, and conditions by their names: what they are read into, and what is refused."""

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from teamrun.components.definitions.agents import AssistantDefinition
from teamrun.components.definitions.roles import ROLES, RoleDefinition
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError
from teamrun.testing import ScriptedModel

FILE = """
models: {m: {type: scripted, script: [hello]}}
tools:
  size: {function: "builtins:len"}
  text: {function: "builtins:str"}
roles:
  analyst: {tools: [size], temperature: 0.1}
  clerk: {system_message: "You file papers for ${COMPANY:-us}.", description: Files.}
agents:
  ann: {model: m, role: analyst, system_message: Look at sales., tools: [text, size]}
  bob: {model: m, role: clerk, temperature: 0.7}
  cat: {model: m, role: critic, description: Reviews., system_message: ""}
teams:
  t: {type: round_robin_group_chat, agents: [ann, bob, cat], termination: stop_message}
"""


def load(folder: Path, text: str = FILE) -> Registry:
    path = folder / "teamrun.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return load_registry(path, environ={})


def refused(folder: Path, text: str) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        load(folder, text)
    return [(each["pointer"], each["detail"]) for each in caught.value.data["problems"]]


@pytest.mark.behaviour("config.agents")
def test_an_agent_gets_the_fields_of_its_role_and_its_own_win(tmp_path: Path) -> None:
    registry = load(tmp_path)

    ann, bob, cat = registry.resolve(team="t").definition.participants

    assert ann == AssistantDefinition(
        name="ann",
        model="m",
        description=ROLES["analyst"]["description"],
        system_message=f"{ROLES['analyst']['system_message']}\n\nLook at sales.",
        tools=("size", "text"),
        temperature=0.1,
    )
    assert bob == AssistantDefinition(
        name="bob",
        model="m",
        description="Files.",
        system_message="You file papers for ${COMPANY:-us}.",
        temperature=0.7,
    )
    assert isinstance(cat, AssistantDefinition)
    assert (cat.description, cat.system_message) == ("Reviews.", ROLES["critic"]["system_message"])
    expanded = registry.expanded(registry.resolve(team="t").definition)
    assert "papers for us." in str(expanded.participants[1])


@pytest.mark.behaviour("pattern.roles")
def test_a_tenant_may_name_the_presets_and_the_operators_roles(tmp_path: Path) -> None:
    registry = load(tmp_path)
    spec: dict[str, Any] = {
        "type": "round_robin_group_chat",
        "agents": [{"name": role, "model": "m", "role": role} for role in (*ROLES, "clerk")],
        "max_turns": 1,
    }

    team = registry.resolve(team_spec=spec).definition

    texts = [getattr(member, "system_message", None) for member in team.participants]
    assert texts == [
        *(role["system_message"] for role in ROLES.values()),
        "You file papers for ${COMPANY:-us}.",
    ]
    preset = Registry.of(
        teams={"t": spec | {"agents": spec["agents"][:1]}}, models={"m": ScriptedModel([])}
    )
    assert getattr(preset.resolve(team="t").definition.participants[0], "tools", None) == ()


@pytest.mark.behaviour("pattern.roles")
@pytest.mark.parametrize(("name", "preset"), ROLES.items())
def test_a_preset_is_a_valid_role(name: str, preset: Any) -> None:
    role = RoleDefinition.model_validate(preset)

    assert len(role.system_message or "") > 100, name
    assert role.description


def test_the_faults_of_roles_are_all_given_with_their_places(tmp_path: Path) -> None:
    text = FILE.replace("tools: [size], temp", "tools: [sise], temp").replace(
        "description: Files.", "description: Files., promt: x"
    )
    text = text.replace("role: critic", "role: critik").replace("stop_message}", "stop_mesage}")

    found = dict(refused(tmp_path, text))

    assert list(found) == [
        "/roles/analyst/tools/0",
        "/roles/clerk/promt",
        "/agents/cat/role",
        "/teams/t/termination",
    ]
    hints = ("'size'", "system_message", "Did you mean 'critic'?", "Did you mean 'stop_message'?")
    assert all(hint in detail for hint, detail in zip(hints, found.values(), strict=True))


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("roles:", "rolls:", "/rolls"),  # and no other fault of the agents that name its roles
        ("analyst: {tools", "analyst: 3 #", "/roles/analyst"),
        ("temperature: 0.1", "temperature: hot", "/roles/analyst/temperature"),
        ("tools: [size], t", "tools: size, t", "/roles/analyst/tools"),
        ("role: critic", "role: [critic]", "/agents/cat/role"),
        ("cat: {model: m", "cat: {type: user_proxy_agent", "/agents/cat/role"),
    ],
)
def test_a_role_that_is_none(tmp_path: Path, old: str, new: str, where: str) -> None:
    found = refused(tmp_path, FILE.replace(old, new))

    assert found[0][0] == where


@pytest.mark.behaviour("config.termination")
@pytest.mark.parametrize(
    ("written", "types"),
    [
        ("stop_message", ["stop_message"]),
        ("StopMessageTermination", ["stop_message"]),
        (
            "[text_mention, {type: MaxMessageTermination, max_messages: 2}]",
            ["text_mention", "max_messages"],
        ),
        ("{type: all, conditions: [text_message, external]}", ["text_message", "external"]),
    ],
)
def test_a_condition_may_be_its_name(tmp_path: Path, written: str, types: list[str]) -> None:
    text = FILE.replace("termination: stop_message", f"termination: {written}")

    condition = load(tmp_path, text).resolve(team="t").definition.termination

    assert condition is not None
    found = getattr(condition, "conditions", (condition,))
    assert [each.type for each in found] == types


def test_a_name_without_its_fields_says_what_is_needed(tmp_path: Path) -> None:
    text = FILE.replace("termination: stop_message", "termination: [source_match]")

    assert refused(tmp_path, text) == [("/teams/t/termination/0/sources", "'sources' is needed.")]


async def test_the_temperature_of_an_agent_is_sent_with_every_call(tmp_path: Path) -> None:
    from teamrun.components.building.teams import build_team

    model = ScriptedModel(["One", "Two"], record=True)
    agent = {"name": "a", "model": "m", "temperature": 0.3}
    team = {"type": "round_robin_group_chat", "agents": [agent], "max_turns": 1}
    registry = Registry.of(teams={"t": team}, models={"m": model})

    await build_team(registry.resolve(team="t").definition, registry).run(task="go")
    streaming = {**team, "agents": [{**agent, "model_client_stream": True}]}
    definition = registry.resolve(team_spec=streaming).definition
    await build_team(definition, registry).run(task="go")

    assert [call.extra_create_args for call in model.calls] == [{"temperature": 0.3}] * 2
