"""For any definition, the result is a team or a `DefinitionError`."""

import copy
import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.examples import examples

from teamrun.components.registry import Registry
from teamrun.errors import DefinitionError
from teamrun.testing import ScriptedModel

VALID: dict[str, Any] = {
    "version": 1,
    "type": "selector_group_chat",
    "name": "desk",
    "model_for_selection": "main",
    "agents": [
        {"name": "a", "model": "main", "handoffs": ["b"], "model_context": {"type": "unbounded"}},
        {"type": "round_robin_group_chat", "agents": [{"name": "c", "model": "main"}], "name": "b"},
    ],
    "termination": {
        "type": "and",
        "conditions": [{"type": "max_messages"}, {"type": "text_mention", "sources": ["a"]}],
    },
}
COMPONENT: dict[str, Any] = {
    "provider": "autogen_agentchat.teams.RoundRobinGroupChat",
    "component_type": "team",
    "version": 1,
    "config": {
        "participants": [
            {
                "provider": "autogen_agentchat.agents.AssistantAgent",
                "component_type": "agent",
                "version": 2,
                "config": {
                    "name": "a",
                    "model_client": {
                        "provider": "autogen_ext.models.openai.OpenAIChatCompletionClient",
                        "component_type": "model",
                        "config": {"model": "main"},
                    },
                    "workbench": [
                        {
                            "provider": "autogen_core.tools.StaticWorkbench",
                            "component_type": "workbench",
                            "config": {"tools": []},
                        }
                    ],
                },
            }
        ],
        "termination_condition": {
            "provider": "autogen_agentchat.base.OrTerminationCondition",
            "component_type": "termination",
            "config": {
                "conditions": [
                    {
                        "provider": "autogen_agentchat.conditions.StopMessageTermination",
                        "component_type": "termination",
                        "config": {},
                    }
                ]
            },
        },
    },
}
WITH_TOOLS: dict[str, Any] = {
    "provider": "autogen_agentchat.teams.Swarm",
    "config": {
        "participants": [
            {
                "provider": "autogen_agentchat.agents.AssistantAgent",
                "config": {
                    "name": "a",
                    "model_client": "main",
                    "handoffs": [{"target": "user"}],
                    "tools": [
                        {
                            "provider": "autogen_ext.tools.http.HttpTool",
                            "component_type": "tool",
                            "label": "HttpTool",
                            "config": {"name": "look_up"},
                        },
                        {
                            "provider": "autogen_core.tools.FunctionTool",
                            "config": {"name": "look_up", "source_code": "..."},
                        },
                    ],
                    "model_context": {
                        "provider": "autogen_core.model_context.BufferedChatCompletionContext",
                        "config": {"buffer_size": 3},
                    },
                    "memory": [
                        {"provider": "autogen_core.memory.ListMemory", "config": {"name": "m"}}
                    ],
                },
            }
        ]
    },
}
EACH_TYPE: list[Any] = [None, True, 1, 1.5, "text", [], {}, [[]], {"type": []}, {"provider": {}}]
REGISTRY = Registry.of(models={"main": ScriptedModel([])}, teams={})

names = st.sampled_from(
    ["type", "name", "agents", "participants", "provider", "config", "model", "tools", "version"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(cast("dict[Any, Any]", value).items())
    if isinstance(value, list):
        items = list(enumerate(cast("list[Any]", value)))
    return [path, *(found for key, item in items for found in places(item, (*path, key)))]


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.copy(document)
    changed[path[0]] = put(document[path[0]], path[1:], value)
    return changed


def check(raw: Any) -> None:
    try:
        resolved = REGISTRY.resolve(team_spec=raw)
    except DefinitionError as error:
        assert error.pointer.startswith("/team_spec")
        assert error.message and error.code
        json.dumps(error.as_json())
        assert not REGISTRY.validate(team_spec=raw).valid
    else:
        assert REGISTRY.resolve(team_spec=raw).digest == resolved.digest
        assert REGISTRY.validate(team_spec=raw).valid


def test_the_unchanged_documents_are_valid() -> None:
    assert REGISTRY.resolve(team_spec=VALID).name == "desk"
    assert REGISTRY.resolve(team_spec=COMPONENT).definition.type == "round_robin_group_chat"


@examples(300)
@given(raw=st.dictionaries(names, anything, max_size=6))
def test_an_arbitrary_object_is_a_team_or_a_definition_error(raw: dict[str, Any]) -> None:
    check(raw)


@examples(400)
@given(
    document=st.sampled_from([VALID, COMPONENT]),
    pick=st.integers(min_value=0),
    value=anything,
)
def test_a_document_with_one_value_exchanged_is_a_team_or_a_definition_error(
    document: dict[str, Any], pick: int, value: Any
) -> None:
    path = places(document)[1:][pick % (len(places(document)) - 1)]

    check(put(document, path, value))


@pytest.mark.parametrize("value", EACH_TYPE, ids=repr)
@pytest.mark.parametrize("document", [VALID, COMPONENT, WITH_TOOLS], ids=["ours", "form", "tools"])
def test_a_value_of_each_json_type_in_each_place_is_a_team_or_a_definition_error(
    document: dict[str, Any], value: Any
) -> None:
    for path in places(document)[1:]:
        check(put(document, path, value))
