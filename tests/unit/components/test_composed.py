"""Agents with an agent or a team inside, in requests and in the operator's file."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.components.test_component_json import assistant, component, model, registry, team

from teamrun.components.building.teams import build_team
from teamrun.components.definitions.composed import (
    MessageFilterDefinition,
    SocietyOfMindDefinition,
)
from teamrun.components.definitions.names import agents_of, models_of
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.core.protocols import TaskResult
from teamrun.errors import DefinitionError
from teamrun.runs.log.output import output_sources
from teamrun.testing import ScriptedModel
from teamrun.tools import AgentTool

Json = dict[str, Any]

ALL = {"per_source": [{"source": "user"}]}
WRITER = {"name": "writer", "model": "main"}


def society(**more: Any) -> Json:
    inner = {"type": "round_robin_group_chat", "name": "pair", "agents": [WRITER], "max_turns": 1}
    return {
        "type": "society_of_mind_agent",
        "name": "mind",
        "model": "main",
        "team": inner,
        **more,
    }


def sieve(**more: Any) -> Json:
    return {"type": "message_filter_agent", "name": "sieve", "agent": WRITER, "filter": ALL, **more}


def desk(*agents: Json, **more: Any) -> Json:
    return {"type": "round_robin_group_chat", "agents": list(agents), "max_turns": 1, **more}


def deep(levels: int) -> Json:
    agent: Json = WRITER
    for level in range(levels):
        agent = sieve(name=f"sieve{level}", agent=agent)
    return agent


@pytest.mark.behaviour("json.agents")
def test_components_of_autogen_are_read() -> None:
    mind = component(
        "autogen_agentchat.agents.SocietyOfMindAgent",
        {
            "name": "mind",
            "team": team(assistant(), name="pair"),
            "model_client": model(),
            "instruction": "Read.",
            "model_context": component(
                "autogen_core.model_context.BufferedChatCompletionContext", {"buffer_size": 3}
            ),
        },
    )
    behind = component(
        "autogen_agentchat.agents.MessageFilterAgent",
        {"name": "sieve", "wrapped_agent": assistant("critic"), "filter": ALL},
    )

    definition = registry().resolve(team_spec=team(mind, behind)).definition

    first, second = definition.participants
    assert isinstance(first, SocietyOfMindDefinition)
    assert (first.model, first.instruction, first.team.name) == ("main", "Read.", "pair")
    assert first.model_context is not None
    assert isinstance(second, MessageFilterDefinition)
    assert (second.agent.name, second.filter.per_source[0].source) == ("critic", "user")
    assert agents_of(definition) == ["mind", "writer", "sieve", "critic"]
    assert models_of(definition) == {"main"}


@pytest.mark.parametrize(
    ("agent", "pointer", "code", "says"),
    [
        (society(team=WRITER), "/team", "invalid_definition", "'team' must be a team; 'writer' is"),
        (sieve(agent=desk(WRITER)), "/agent", "invalid_definition", "'agent' must be an agent"),
        (society(team="pair"), "/team", "invalid_definition", "written out here"),
        ({**society(), "team": None}, "/team", "invalid_definition", "'team' is needed"),
        (society(model="man"), "/model", "unknown_model", "'main'"),
        (society(teem={}), "/teem", "unknown_field", "'team'"),
        (
            society(model_context={"type": "buffered"}),
            "/model_context",
            "invalid_definition",
            "siz",
        ),
        (sieve(filter={"per_source": []}), "/filter/per_source", "invalid_definition", "empty"),
        (
            sieve(filter={"per_source": [{"source": "a", "position": "middle"}]}),
            "/filter/per_source/0/position",
            "invalid_definition",
            "'first'",
        ),
        (sieve(agent={**WRITER, "model": "man"}), "/agent/model", "unknown_model", "'main'"),
        (deep(20), "/agent" * 9, "too_large", "more than 8 levels"),
    ],
)
def test_an_invalid_part_is_refused_at_its_location(
    agent: Json, pointer: str, code: str, says: str
) -> None:
    found = registry().validate(team_spec=desk(agent)).errors[0]

    assert (found.code, found.pointer) == (code, f"/team_spec/agents/0{pointer}")
    assert says in found.detail


def test_a_swarm_does_not_begin_with_an_agent_that_cannot_hand_over() -> None:
    for first in (society(), sieve()):
        spec = {"type": "swarm", "agents": [first, {**WRITER, "name": "b"}], "max_turns": 1}
        with pytest.raises(DefinitionError, match="needs 'handoffs'"):
            registry().resolve(team_spec=spec)


def test_conditions_and_output_know_whose_names_the_messages_have() -> None:
    stop = {"type": "source_match", "sources": ["writer"]}
    spec = desk(sieve(), termination=stop, output="sieve")

    assert output_sources(registry().resolve(team_spec=spec).definition) == {"writer"}
    for name, agent in (("sieve", sieve()), ("writer", society())):
        spec = desk(agent, termination={"type": "source_match", "sources": [name]})
        with pytest.raises(DefinitionError, match="no source of messages"):
            registry().resolve(team_spec=spec)


FILE = """
models: {{main: {{type: scripted, script: [hello]}}}}
agents:
  writer: {{model: main}}
  mind: {{type: society_of_mind_agent, model: main, team: {inner}}}
  sieve: {{type: message_filter_agent, agent: mind, filter: {{per_source: [{{source: user}}]}}}}
teams:
  pair: {{type: round_robin_group_chat, agents: [writer], max_turns: 1}}
  desk: {{type: round_robin_group_chat, agents: [sieve], max_turns: 1}}
"""


def loaded(folder: Path, inner: str) -> Registry:
    path = folder / "teamrun.yaml"
    path.write_text(FILE.format(inner=inner), encoding="utf-8")
    return load_registry(path, environ={})


def test_in_the_file_they_name_agents_and_teams(tmp_path: Path) -> None:
    definition = loaded(tmp_path, "pair").resolve(team="desk").definition

    assert agents_of(definition) == ["sieve", "mind", "writer"]


def test_an_agent_inside_of_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="cannot be inside of itself: 'mind' in 'sieve'"):
        loaded(tmp_path, "desk")


async def test_in_a_tool_each_team_has_its_own_copy() -> None:
    from teamrun.agents import (
        AssistantAgent,
        MessageFilterAgent,
        MessageFilterConfig,
        PerSourceFilter,
        SocietyOfMindAgent,
    )
    from teamrun.teams import RoundRobinGroupChat

    writer = AssistantAgent("writer", ScriptedModel(["draft"] * 2))
    mind = SocietyOfMindAgent(
        "mind", RoundRobinGroupChat([writer], max_turns=1), ScriptedModel(["Done."] * 2)
    )
    only = MessageFilterConfig(per_source=[PerSourceFilter(source="user")])
    call = {"tool_calls": [{"name": "sieve", "arguments": {"task": "go"}}]}
    known = Registry.of(
        teams={},
        models={"main": ScriptedModel([call] * 2)},
        tools=[AgentTool(MessageFilterAgent("sieve", mind, only))],
    )
    spec = desk({**WRITER, "name": "outer", "tools": ["sieve"]})
    definition = known.resolve(team_spec=spec).definition

    result: TaskResult = await build_team(definition, known).run(task="go")

    assert result.messages[-1].to_text() == "writer: draft\n\nmind: Done."
    assert await mind.model_context.get_messages() == []
