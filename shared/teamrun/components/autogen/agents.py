"""Agents and contexts of AutoGen component JSON, read into the canonical form."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from teamrun.components.autogen.components import model_profile, tool_names, unwrap
from teamrun.components.definitions.agents import AssistantDefinition, UserProxyDefinition
from teamrun.components.definitions.base import AgentDefinition
from teamrun.components.definitions.contexts import ContextDefinition
from teamrun.components.definitions.kinds import AGENTS
from teamrun.components.definitions.table import load
from teamrun.components.reading.agents import read_handoffs
from teamrun.components.reading.fields import construct, read_fields
from teamrun.components.reading.mentions import check_handoffs
from teamrun.components.reading.problems import Problems, pointer
from teamrun.components.reading.scope import Member, Scope
from teamrun.json_types import JsonMapping

__all__ = [
    "ReadComponent",
    "read_assistant",
    "read_component_agent",
    "read_component_context",
    "read_user_proxy",
]

_SAME: Final = (
    "name",
    "description",
    "handoffs",
    "reflect_on_tool_use",
    "max_tool_iterations",
    "tool_call_summary_format",
    "model_client_stream",
    "model_context",
    "metadata",
    "system_message",
)
_ASSISTANT: Final[Mapping[str, str]] = {name: name for name in _SAME} | {
    "model_client": "model",
    "tools": "tools",
    "workbench": "workbench",
    "memory": "memory",
    "structured_message_factory": "structured_message_factory",
}
_NOT_CONVERTED: Final[Mapping[str, str]] = {
    "memory": "a registered tool that looks things up",
    "structured_message_factory": "the wished form in the 'system_message'",
}


class ReadComponent(Protocol):
    """The function that reads the configuration of one kind of agent; None: a problem was added."""

    def __call__(
        self, config: JsonMapping, where: str, scope: Scope, problems: Problems
    ) -> AgentDefinition | None:
        """The agent; `where` is the pointer to the configuration."""
        ...


def read_component_agent(raw: Any, where: str, scope: Scope, problems: Problems) -> Member | None:
    """An agent component; None: a problem was added."""
    component = unwrap(raw, where, "agent", problems)
    if component is None:
        return None
    kind = AGENTS.by_provider[component.provider]
    assert kind.read_component is not None, "a kind with a provider is read from it"
    read: ReadComponent = load(kind.read_component)
    agent = read(component.config, component.where, scope, problems)
    return None if agent is None else Member(agent, component.where)


def read_user_proxy(
    config: JsonMapping, where: str, _scope: Scope, problems: Problems
) -> UserProxyDefinition | None:
    """A user proxy; its `input_func` is not taken from the component."""
    known = {"name": "name", "description": "description", "input_func": "input_func"}
    fields = read_fields(config, where, known, problems, what="the agent")
    values = {key: value for key, value in fields.values.items() if key != "input_func"}
    return construct(UserProxyDefinition, fields, values, problems)


def read_assistant(
    config: JsonMapping, where: str, scope: Scope, problems: Problems
) -> AssistantDefinition | None:
    """An agent that answers with a model."""
    before = len(problems.found)
    fields = read_fields(config, where, _ASSISTANT, problems, what="the agent")
    for name, instead in _NOT_CONVERTED.items():
        if fields.values.get(name):
            detail = f"{name!r} is not converted; use {instead} instead."
            problems.add(fields.place(name), "component_json_not_supported", detail)
    left_out = {"workbench", *_NOT_CONVERTED}
    values = {key: value for key, value in fields.values.items() if value is not None}
    values = {key: value for key, value in values.items() if key not in left_out}
    values["model"] = model_profile(
        fields.values.get("model"), pointer(where, "model_client"), scope, problems
    )
    values["tools"] = tool_names(config, where, scope, problems)
    values["handoffs"] = read_handoffs(
        values.get("handoffs", []), fields.place("handoffs"), problems
    )
    # AutoGen omits fields that are None; there, None means no system message.
    values.setdefault("system_message", "")
    if "model_context" in values:
        place = fields.place("model_context")
        values["model_context"] = read_component_context(values["model_context"], place, problems)
    agent = construct(AssistantDefinition, fields, values, problems)
    if agent is not None:
        check_handoffs(agent, fields.place("handoffs"), problems)
    return agent if len(problems.found) == before else None


def read_component_context(raw: Any, where: str, problems: Problems) -> ContextDefinition | None:
    """A model context component; None: a problem was added, or it is the usual one."""
    component = unwrap(raw, where, "context", problems)
    if component is None or component.type == "unbounded":
        return None
    known = {name: name for name in ContextDefinition.model_fields if name != "type"}
    ignored = {"initial_messages": "initial_messages", "model_client": "model_client"}
    fields = read_fields(
        component.config, component.where, known | ignored, problems, what="the model context"
    )
    if fields.values.get("initial_messages"):
        place = fields.place("initial_messages")
        detail = "Initial messages are not converted; put them into the 'system_message'."
        problems.add(place, "component_json_not_supported", detail)
        return None
    values = {key: value for key, value in fields.values.items() if key in known}
    return construct(ContextDefinition, fields, {**values, "type": component.type}, problems)
