"""Teams built from definitions: their parts, and the calls of the wiring."""

from typing import Any

import pytest
from tests.support.team_cases import progress

from teamrun.components.building.teams import build_team
from teamrun.components.building.wiring import InputFunc, PlainWiring
from teamrun.components.definitions.agents import UserProxyDefinition
from teamrun.components.registry import Registry
from teamrun.core.protocols import TaskResult
from teamrun.errors import DefinitionError
from teamrun.messages.llm import SystemMessage
from teamrun.models.base import ChatCompletionClient
from teamrun.teams import (
    BaseGroupChat,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool, Tool

WORD = {"word": "team"}


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: a word"


class Recording(PlainWiring):
    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def model(self, path: str, profile: str, client: ChatCompletionClient) -> ChatCompletionClient:
        self.asked.append(("model", path, profile))
        return client

    def tool(self, path: str, tool: Tool) -> Tool:
        self.asked.append(("tool", path, tool.name))
        return tool

    def input(
        self, path: str, func: InputFunc | None, person: UserProxyDefinition
    ) -> InputFunc | None:
        self.asked.append(("input", path))
        return lambda prompt: "yes, APPROVE"


def registry(model: ChatCompletionClient, **teams: dict[str, Any]) -> Registry:
    return Registry.of(
        models={"main": model, "small": model},
        tools=[FunctionTool(look_up, "Look a word up.")],
        teams=teams,
    )


def build(known: Registry, name: str, wiring: Recording | None = None) -> BaseGroupChat:
    definition = known.resolve(team=name).definition
    return build_team(definition, known, wiring or PlainWiring())


def agent(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "model": "main", **fields}


def pair(**fields: Any) -> dict[str, Any]:
    agents = [agent("writer", tools=["look_up"]), agent("editor")]
    return {"type": "round_robin_group_chat", "agents": agents, **fields}


async def run(team: BaseGroupChat, task: str = "go") -> TaskResult:
    return await team.run(task=task)


def words(result: TaskResult) -> list[str]:
    return [f"{message.source}: {message.to_text()}" for message in result.messages]


async def test_a_round_robin_team_runs_to_its_condition() -> None:
    model = ScriptedModel({"writer": ["one", "three"], "editor": ["two", "done: END"]})
    ends = [{"type": "text_mention", "text": "END"}, {"type": "max_messages", "max_messages": 9}]

    team = build(registry(model, desk=pair(termination=ends)), "desk")
    with model:
        result = await run(team)

    assert isinstance(team, RoundRobinGroupChat)
    assert (team.name, team.stop_code) == ("desk", "text_mention")
    assert words(result) == [
        "user: go",
        "writer: one",
        "editor: two",
        "writer: three",
        "editor: done: END",
    ]


async def test_a_selector_team_asks_its_own_model() -> None:
    model = ScriptedModel({"selector": ["editor"], "editor": ["END"]})
    spec = {
        "type": "selector_group_chat",
        "agents": [agent("writer"), agent("editor")],
        "model_for_selection": "small",
        "termination": {"type": "source_match", "sources": ["editor"]},
    }

    team = build(registry(model, desk=spec), "desk")
    with model:
        result = await run(team)

    assert isinstance(team, SelectorGroupChat)
    assert words(result) == ["user: go", "editor: END"]


@pytest.mark.behaviour("config.teams")
async def test_a_swarm_follows_the_handoffs_of_its_agents() -> None:
    hand_off: dict[str, Any] = {"tool_calls": [{"name": "transfer_to_editor", "arguments": {}}]}
    model = ScriptedModel({"writer": [hand_off], "editor": ["END"]})
    spec = {
        "type": "swarm",
        "agents": [agent("writer", handoffs=["editor"]), agent("editor")],
        "max_turns": 2,
    }

    team = build(registry(model, desk=spec), "desk")
    with model:
        result = await run(team)

    assert isinstance(team, Swarm)
    assert words(result)[-1] == "editor: END"


@pytest.mark.behaviour("config.teams")
async def test_a_graph_flow_follows_its_edges() -> None:
    names = ("writer", "editor", "reader")
    model = ScriptedModel({"writer": ["Draft"], "editor": ["END"], "reader": ["Read"]})
    spec = {
        "type": "graph_flow",
        "agents": [agent(name) for name in names],
        "graph": {
            "nodes": {
                "writer": {"edges": [{"target": "editor"}, {"target": "reader"}]},
                "editor": {},
                "reader": {"name": "reader"},
            }
        },
    }

    team = build(registry(model, desk=spec), "desk")
    with model:
        result = await run(team)

    assert isinstance(team, GraphFlow)
    assert words(result) == ["user: go", "writer: Draft", "editor: END", "reader: Read"]
    assert team.stop_code == "graph_complete"


@pytest.mark.behaviour("config.teams")
async def test_an_orchestrator_asks_its_own_model() -> None:
    model = ScriptedModel(
        {
            "orchestrator": ["F", "P", progress("a", "Go."), progress("a", "", done=True), "END"],
            "a": ["Here"],
        }
    )
    spec = {"type": "magentic_one", "agents": [agent("a")], "model": "small"}

    team = build(registry(model, desk=spec), "desk")
    with model:
        result = await run(team)

    assert isinstance(team, MagenticOneGroupChat)
    assert words(result)[-2:] == ["a: Here", "MagenticOneOrchestrator: END"]
    assert team.max_turns == 20


def test_every_leaf_goes_through_the_wiring_under_its_path() -> None:
    inner = {
        "type": "selector_group_chat",
        "name": "inner",
        "agents": [agent("a"), agent("b", model="small", tools=["look_up"])],
        "model_for_selection": "small",
    }
    outer = {
        "type": "round_robin_group_chat",
        "agents": [agent("lead"), inner, {"type": "user_proxy_agent", "name": "boss"}],
    }
    wiring = Recording()

    build(registry(ScriptedModel([]), outer=outer), "outer", wiring)

    assert sorted(wiring.asked) == [
        ("input", "outer/boss"),
        ("model", "outer/inner/a", "main"),
        ("model", "outer/inner/b", "small"),
        ("model", "outer/inner/selector", "small"),
        ("model", "outer/lead", "main"),
        ("tool", "outer/inner/b", "look_up"),
    ]


async def test_the_team_uses_the_results_of_the_wiring() -> None:
    spec = pair(termination={"type": "text_mention", "text": "APPROVE"})
    spec["agents"][1] = {"type": "user_proxy_agent", "name": "boss"}
    model = ScriptedModel({"writer": ["is it right?"]})

    team = build(registry(model, desk=spec), "desk", Recording())

    assert words(await run(team))[-1] == "boss: yes, APPROVE"


async def test_the_fields_of_an_agent_reach_it() -> None:
    model = ScriptedModel(
        {"writer": [{"tool_calls": [{"name": "look_up", "arguments": {"word": "team"}}]}, "END"]},
        record=True,
    )
    spec = pair(
        agents=[
            agent(
                "writer",
                system_message="Write well.",
                description="Writes.",
                tools=["look_up"],
                max_tool_use_attempts=2,
                tool_choice="auto",
                metadata={"desk": "3"},
            )
        ],
        max_rounds=1,
    )

    team = build(registry(model, desk=spec), "desk")
    with model:
        result = await run(team)

    assert words(result)[-1] == "writer: END"
    first = model.calls[0]
    assert first.messages[0] == SystemMessage(content="Write well.")
    assert [tool["name"] for tool in first.tools] == ["look_up"]


@pytest.mark.parametrize(
    ("written", "heard"),
    [({}, True), ({"system_message": ""}, False), ({"system_message": "Hi."}, True)],
)
async def test_an_empty_system_message_is_none_and_a_missing_one_the_usual(
    written: dict[str, str], heard: bool
) -> None:
    model = ScriptedModel(["done"], record=True)
    spec = {
        "type": "round_robin_group_chat",
        "agents": [agent("a", **written)],
        "max_rounds": 1,
    }

    await run(build(registry(model, desk=spec), "desk"))

    assert isinstance(model.calls[0].messages[0], SystemMessage) is heard


async def test_a_context_limits_what_the_model_sees() -> None:
    model = ScriptedModel({"a": ["1", "2", "3"]}, record=True)
    context = {"type": "buffered", "buffer_size": 2}
    spec = {
        "type": "round_robin_group_chat",
        "agents": [agent("a", model_context=context, system_message="")],
        "max_rounds": 3,
    }

    await run(build(registry(model, desk=spec), "desk"))

    assert [len(call.messages) for call in model.calls] == [1, 2, 2]


@pytest.mark.behaviour("config.termination")
@pytest.mark.parametrize(
    ("condition", "stop_code"),
    [
        ({"type": "text_mention", "text": "two"}, "text_mention"),
        ({"type": "text_mention", "text": "TWO", "ignore_case": True}, "text_mention"),
        ({"type": "max_messages", "max_messages": 2}, "max_messages"),
        ({"type": "token_usage", "max_total_token": 1}, "token_usage"),
        ({"type": "source_match", "sources": ["editor"]}, "source_match"),
        ({"type": "text_message", "source": "writer"}, "text_message"),
        ({"type": "function_call", "function_name": "look_up"}, "function_call"),
        ({"type": "handoff", "target": "editor"}, "handoff"),
        ({"type": "stop_message"}, "max_turns"),
        ({"type": "external"}, "max_turns"),
        ({"type": "timeout", "seconds": 3600}, "max_turns"),
        (
            {
                "type": "and",
                "conditions": [
                    {"type": "text_mention", "text": "two"},
                    {"type": "source_match", "sources": ["editor"]},
                ],
            },
            "text_mention",
        ),
        (
            [{"type": "max_messages"}, {"type": "source_match", "sources": ["editor"]}],
            "source_match",
        ),
    ],
)
async def test_each_condition_ends_the_team_in_its_way(condition: Any, stop_code: str) -> None:
    wants = "transfer_to_editor" if stop_code == "handoff" else "look_up"
    call: dict[str, Any] = {"name": wants, "arguments": WORD if wants == "look_up" else {}}
    model = ScriptedModel({"writer": [{"tool_calls": [call]}, "one"], "editor": ["two", "two"]})
    spec = pair(
        agents=[
            agent("writer", tools=["look_up"], handoffs=["editor"], max_tool_iterations=2),
            agent("editor"),
        ],
        termination=condition,
        max_rounds=2,
    )

    team = build(registry(model, desk=spec), "desk")
    await run(team)

    assert team.stop_code == stop_code


async def test_two_teams_of_one_definition_share_nothing() -> None:
    model = ScriptedModel(["hi"], record=True)
    spec = {"type": "round_robin_group_chat", "agents": [agent("a")], "max_rounds": 1}
    known = registry(model, desk=spec)

    first = build(known, "desk")
    await run(first)
    model.rewind()
    await run(build(known, "desk"))

    assert len(model.calls[0].messages) == 2  # the system message and the task


async def test_a_nested_team_speaks_as_one_participant() -> None:
    inner = {
        "type": "round_robin_group_chat",
        "name": "inner",
        "agents": [agent("a")],
        "max_rounds": 1,
    }
    spec = {"type": "round_robin_group_chat", "agents": [inner, agent("b")], "max_rounds": 2}
    model = ScriptedModel({"a": ["from inside"], "b": ["from outside"]})

    result = await run(build(registry(model, outer=spec), "outer"))

    assert "from inside" in "\n".join(words(result))
    assert words(result)[-1] == "b: from outside"


def test_a_tool_that_is_gone_is_an_error_when_the_team_is_built() -> None:
    known = registry(ScriptedModel([]), desk=pair())
    definition = known.resolve(team="desk").definition
    bare = Registry.of(models={"main": ScriptedModel([])}, teams={})

    with pytest.raises(DefinitionError) as caught:
        build_team(definition, bare)

    assert caught.value.code == "unknown_tool"


@pytest.mark.parametrize(
    "fields", [{"type": "round_robin_group_chat"}, {"type": "selector_group_chat", "model": "m"}]
)
def test_the_model_of_the_output_has_to_exist(fields: dict[str, Any]) -> None:
    agents = [{"type": "assistant_agent", "name": name, "model": "m"} for name in "ab"]
    registry = Registry.of(teams={}, models={"m": ScriptedModel([]), "n": ScriptedModel([])})
    spec = {**fields, "participants": agents, "max_turns": 1}

    resolved = registry.resolve(team_spec={**spec, "output_model": "n", "output_repairs": 0})
    assert sorted(resolved.models) == ["m", "n"]
    for wrong, pointer in (
        ({"output_model": "x"}, "/team_spec/output_model"),
        ({"output_repairs": 11}, "/team_spec/output_repairs"),
        ({"output_repairs": "1"}, "/team_spec/output_repairs"),
    ):
        with pytest.raises(DefinitionError) as raised:
            registry.resolve(team_spec={**spec, **wrong})
        assert raised.value.pointer == pointer
