"""Names in conditions and handoffs that nothing in the team has."""

from dataclasses import dataclass
from typing import Any

import pytest

from teamrun.agents.base import BaseChatAgent
from teamrun.components.registry import Registry
from teamrun.errors import DefinitionError
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool

Json = dict[str, Any]


def look_up(word: str) -> str:
    """Look a word up."""
    return word


def own_agent(**_: Any) -> BaseChatAgent:
    raise NotImplementedError


def registry() -> Registry:
    return Registry.of(
        models={"main": ScriptedModel([])},
        tools=[FunctionTool(look_up, "Look a word up.")],
        agents={"own": own_agent},
        teams={},
    )


def agent(name: str = "writer", **fields: Any) -> Json:
    return {"name": name, "model": "main", **fields}


def team(*agents: Json, **fields: Any) -> Json:
    return {"type": "round_robin_group_chat", "agents": list(agents), **fields}


WRITER = agent(tools=["look_up"], handoffs=["boss"])
OWN = {"type": "custom_agent", "name": "mine", "agent": "own"}
INNER = team(WRITER, name="inner")


@dataclass(frozen=True)
class Case:
    id: str
    termination: Json
    pointer: str | None
    """The pointer of the problem; None: there is none."""
    says: str = ""


CASES = [
    Case("sources", {"type": "text_mention", "sources": ["writer", "user"]}, None),
    Case("a misspelt source", {"type": "text_mention", "sources": ["writer", "writr"]},
         "/sources/1", "'writer'"),
    Case("a source that matches nothing", {"type": "source_match", "sources": ["nothing"]},
         "/sources/0", "'user'"),
    Case("the source of a text message", {"type": "text_message", "source": "writer"}, None),
    Case("no source of a text message", {"type": "text_message"}, None),
    Case("an unknown source of a text message", {"type": "text_message", "source": "x"},
         "/source", "'writer'"),
    Case("an inner team as source", {"type": "source_match", "sources": ["inner"]},
         "/sources/0", "'writer'"),
    Case("a target", {"type": "handoff", "target": "boss"}, None),
    Case("an unknown target", {"type": "handoff", "target": "bos"}, "/target", "'boss'"),
    Case("a member that nothing hands over to", {"type": "handoff", "target": "writer"},
         "/target", "'boss'"),
    Case("a function", {"type": "function_call", "function_name": "look_up"}, None),
    Case("a handoff as function", {"type": "function_call", "function_name": "transfer_to_boss"},
         None),
    Case("an unknown function", {"type": "function_call", "function_name": "lookup"},
         "/function_name", "'look_up'"),
]  # fmt: skip


@pytest.mark.parametrize("members", [[WRITER], [INNER]], ids=["flat", "nested"])
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_a_name_that_nothing_in_the_team_has_is_refused(case: Case, members: list[Json]) -> None:
    inside = {"type": "or", "conditions": [{"type": "max_messages"}, case.termination]}

    checked = registry().validate(team_spec=team(*members, termination=inside))

    found = [fault.pointer for fault in checked.errors]
    where = "/team_spec/termination/conditions/1"
    assert found == ([] if case.pointer is None else [where + case.pointer])
    assert all(case.says in fault.detail for fault in checked.errors)


def test_beside_an_agent_of_the_operators_own_code_an_unknown_name_is_a_warning() -> None:
    termination = {"type": "function_call", "function_name": "lookup"}

    checked = registry().validate(team_spec=team(WRITER, OWN, termination=termination))

    assert checked.valid
    assert [note.pointer for note in checked.warnings] == ["/team_spec/termination/function_name"]


def test_a_component_is_checked_alike() -> None:
    condition = {
        "provider": "autogen_agentchat.conditions.SourceMatchTermination",
        "component_type": "termination",
        "config": {"sources": ["writr"]},
    }

    checked = registry().validate(team_spec=team(WRITER, termination=condition))

    assert [fault.pointer for fault in checked.errors] == [
        "/team_spec/termination/config/sources/0"
    ]


@pytest.mark.parametrize(
    ("handoffs", "index"),
    [
        (["boss", "boss"], 1),
        (["Boss", "boss"], 1),
        ([{"target": "boss", "name": "look_up"}], 0),
        ([{"target": "boss", "name": "Look_Up"}], 0),
        ([{"target": "a", "name": "go"}, {"target": "b", "name": "GO"}], 1),
    ],
    ids=["twice", "differs in case", "a tool", "a tool in other case", "named alike"],
)
def test_a_handoff_with_the_name_of_another_tool_is_refused(
    handoffs: list[Any], index: int
) -> None:
    checked = registry().validate(team_spec=team(agent(tools=["look_up"], handoffs=handoffs)))

    assert [fault.pointer for fault in checked.errors] == [f"/team_spec/agents/0/handoffs/{index}"]


def test_the_remedy_for_such_a_handoff_works() -> None:
    with pytest.raises(DefinitionError):
        registry().resolve(team_spec=team(agent(handoffs=["Boss", "boss"])))

    other = [{"target": "Boss"}, {"target": "boss", "name": "ask_boss"}]
    assert registry().resolve(team_spec=team(agent(handoffs=other)))
