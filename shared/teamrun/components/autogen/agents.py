"""Agents and contexts of AutoGen component JSON, read into the canonical form."""

from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

from teamrun.components.autogen.components import model_profile, read_tools, unwrap
from teamrun.components.definitions.agents import (
    AssistantDefinition,
    InlineToolDefinition,
    MemoryDefinition,
    UserProxyDefinition,
)
from teamrun.components.definitions.base import AgentDefinition
from teamrun.components.definitions.contexts import ContextDefinition
from teamrun.components.definitions.kinds import AGENTS
from teamrun.components.definitions.table import load
from teamrun.components.reading.agents import read_handoffs
from teamrun.components.reading.fields import as_list, construct, read_fields
from teamrun.components.reading.mentions import check_handoffs
from teamrun.components.reading.problems import Problems, pointer
from teamrun.components.reading.scope import Member, Scope
from teamrun.core.schema_model import UnusableSchema, model_of_schema
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
    "output_repairs",
)
_ASSISTANT: Final[Mapping[str, str]] = {name: name for name in _SAME} | {
    "model_client": "model",
    "tools": "tools",
    "workbench": "workbench",
    "memory": "memory",
    "structured_message_factory": "structured_message_factory",
}
_FACTORY: Final = ("json_schema", "format_string", "content_model_name")


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
    if fields.values.get("input_func") is not None:
        detail = "'input_func' is ignored: the run waits for an answer from its client."
        problems.warn(fields.place("input_func"), detail)
    return construct(UserProxyDefinition, fields, values, problems)


def read_assistant(
    config: JsonMapping, where: str, scope: Scope, problems: Problems
) -> AssistantDefinition | None:
    """An agent that answers with a model."""
    before = len(problems.found)
    fields = read_fields(config, where, _ASSISTANT, problems, what="the agent")
    left_out = {"workbench", "structured_message_factory", "memory"}
    values = {key: value for key, value in fields.values.items() if value is not None}
    values = {key: value for key, value in values.items() if key not in left_out}
    values["model"] = model_profile(
        fields.values.get("model"), pointer(where, "model_client"), scope, problems
    )
    tools, servers = read_tools(config, where, scope, problems)
    inline = tuple(tool for tool in tools if isinstance(tool, InlineToolDefinition))
    values["tools"] = [tool for tool in tools if tool not in inline]
    values |= {"inline_tools": inline} if inline else {}
    values |= {"workbench": servers} if servers else {}
    values["handoffs"] = read_handoffs(
        values.get("handoffs", []), fields.place("handoffs"), problems
    )
    # AutoGen omits fields that are None; there, None means no system message.
    values.setdefault("system_message", "")
    if (factory := fields.values.get("structured_message_factory")) is not None:
        place = fields.place("structured_message_factory")
        values |= _structured(factory, place, problems)
    if memories := fields.values.get("memory"):
        values["memory"] = _memories(memories, fields.place("memory"), problems)
    if "model_context" in values:
        place = fields.place("model_context")
        values["model_context"] = read_component_context(values["model_context"], place, problems)
    unknown = () if values["model"] is not None else ("model",)
    agent = construct(AssistantDefinition, fields, values, problems, unknown=unknown)
    if agent is not None:
        check_handoffs(agent, fields.place("handoffs"), problems)
    return agent if len(problems.found) == before else None


def _structured(raw: Any, where: str, problems: Problems) -> JsonMapping:
    """The schema of an agent's answers, and the format of their text."""
    component = unwrap(raw, where, "structured_message", problems)
    if component is None:
        return {}
    known = {name: name for name in _FACTORY}
    fields = read_fields(component.config, component.where, known, problems, what="the factory")
    schema, name = fields.values.get("json_schema"), fields.values.get("content_model_name")
    place = fields.place("json_schema")
    if not isinstance(schema, Mapping):
        problems.add(place, "invalid_definition", "'json_schema' must be a JSON Schema.")
        return {}
    named: JsonMapping = {"title": name} if name is not None else {}
    whole = {**cast("JsonMapping", schema), **named}
    try:
        model_of_schema(whole)
    except UnusableSchema as error:
        problems.add(pointer(place, *error.path), "invalid_definition", str(error))
        return {}
    return {"output_schema": whole, "output_format": fields.values.get("format_string")}


def _memories(raw: Any, where: str, problems: Problems) -> list[MemoryDefinition]:
    """Memories that are lists; others are not converted."""
    read: list[MemoryDefinition] = []
    for index, item in enumerate(as_list(raw, where, problems, what="'memory'")):
        component = unwrap(item, pointer(where, index), "memory", problems)
        if component is None:
            continue
        known = {name: name for name in MemoryDefinition.model_fields}
        fields = read_fields(component.config, component.where, known, problems, what="a memory")
        values = {key: value for key, value in fields.values.items() if value is not None}
        made = construct(MemoryDefinition, fields, values, problems)
        read += [made] if made else []
    return read


def read_component_context(raw: Any, where: str, problems: Problems) -> ContextDefinition | None:
    """A model context component; None: a problem was added, or it is the usual one."""
    component = unwrap(raw, where, "context", problems)
    if component is None or component.type == "unbounded":
        return None
    known = {name: name for name in ContextDefinition.model_fields if name != "type"}
    ignored = {name: name for name in ("initial_messages", "model_client", "tool_schema")}
    fields = read_fields(
        component.config, component.where, known | ignored, problems, what="the model context"
    )
    if fields.values.get("initial_messages"):
        place = fields.place("initial_messages")
        detail = "Initial messages are not converted; put them into the 'system_message'."
        problems.add(place, "component_json_not_supported", detail)
        return None
    if fields.values.get("tool_schema"):
        detail = "'tool_schema' is ignored: the tokens of schemas of tools are not counted."
        problems.warn(fields.place("tool_schema"), detail)
    values = {key: value for key, value in fields.values.items() if key in known}
    return construct(ContextDefinition, fields, {**values, "type": component.type}, problems)
