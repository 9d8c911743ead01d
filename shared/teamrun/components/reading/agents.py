"""Agents as people write them, read into the canonical form."""

from collections.abc import Mapping
from typing import Any, Final, cast

from teamrun.components.building.custom_agents import AgentEntry
from teamrun.components.building.operator_code import DOTTED
from teamrun.components.definitions.teams import (
    AgentDefinition,
    AssistantDefinition,
    ContextDefinition,
    CustomDefinition,
    HandoffDefinition,
    UserProxyDefinition,
)
from teamrun.components.reading.fields import Fields, as_list, as_object, construct, read_fields
from teamrun.components.reading.mentions import check_handoffs
from teamrun.components.reading.people import check_person
from teamrun.components.reading.problems import Problems, did_you_mean, listed, pointer, shown
from teamrun.components.reading.scope import Scope

__all__ = ["AGENT_TYPES", "read_agent", "read_classes", "read_context", "read_handoffs"]

AGENT_TYPES: Final[Mapping[str, str]] = {
    "assistant_agent": "assistant_agent",
    "AssistantAgent": "assistant_agent",
    "custom_agent": "custom_agent",
    "user_proxy_agent": "user_proxy_agent",
    "UserProxyAgent": "user_proxy_agent",
}
"""Names of agent types, and the canonical one of each."""

_LATER: Final = frozenset(
    {
        "code_executor_agent",
        "society_of_mind_agent",
        "message_filter_agent",
        "CodeExecutorAgent",
        "SocietyOfMindAgent",
        "MessageFilterAgent",
    }
)
_ASSISTANT: Final = {name: name for name in AssistantDefinition.model_fields} | {
    "max_tool_use_attempts": "max_tool_iterations"
}
_PERSON: Final = {name: name for name in UserProxyDefinition.model_fields}
_CUSTOM: Final = {name: name for name in CustomDefinition.model_fields}
_OWN: Final = {"class": "class", "options": "options"}
"""What only the operator's file may say of an agent, and `read_classes` reads."""
_HANDOFF: Final = {name: name for name in HandoffDefinition.model_fields}
_CONTEXT: Final = {name: name for name in ContextDefinition.model_fields}


def read_agent(
    raw: Any, where: str, scope: Scope, problems: Problems, *, name: str | None = None
) -> AgentDefinition | None:
    """One agent; `name` is its name where the document gives none. None: a problem was noted."""
    source = as_object(raw, where, problems, what="an agent")
    if source is None:
        return None
    usual = "custom_agent" if "class" in source and scope.operator else "assistant_agent"
    written = source.get("type", usual)
    kind = AGENT_TYPES.get(written) if isinstance(written, str) else None
    if kind is None:
        _note_type(written, pointer(where, "type"), problems)
        return None
    if kind == "user_proxy_agent":
        return _person(source, where, problems, name=name)
    if kind == "custom_agent":
        return _custom(source, where, scope, problems, name=name)
    return _assistant(source, where, scope, problems, name=name)


def read_context(raw: Any, where: str, problems: Problems) -> ContextDefinition | None:
    """The choice of what a model sees of the conversation."""
    source = as_object(raw, where, problems, what="a model context")
    if source is None:
        return None
    fields = read_fields(source, where, _CONTEXT, problems, what="a model context")
    return construct(ContextDefinition, fields, fields.values, problems)


def _assistant(
    source: Mapping[str, Any], where: str, scope: Scope, problems: Problems, *, name: str | None
) -> AssistantDefinition | None:
    before = len(problems.found)
    fields = read_fields(source, where, _ASSISTANT, problems, what="an agent")
    values = _values(fields, "assistant_agent", name)
    scope.check_model(values.get("model"), fields.place("model"), problems)
    if values.get("tools") is not None:
        values["tools"] = _tools(values["tools"], fields.place("tools"), scope, problems)
    if values.get("handoffs") is not None:
        values["handoffs"] = read_handoffs(values["handoffs"], fields.place("handoffs"), problems)
    if values.get("model_context") is not None:
        place = fields.place("model_context")
        values["model_context"] = read_context(values["model_context"], place, problems)
    agent = construct(AssistantDefinition, fields, _without_none(values), problems)
    if agent is not None:
        check_handoffs(agent, fields.place("handoffs"), problems)
    return agent if len(problems.found) == before else None


def _person(
    source: Mapping[str, Any], where: str, problems: Problems, *, name: str | None
) -> UserProxyDefinition | None:
    before = len(problems.found)
    fields = read_fields(source, where, _PERSON, problems, what="a user proxy")
    check_person(fields, problems)
    values = _values(fields, "user_proxy_agent", name)
    person = construct(UserProxyDefinition, fields, values, problems)
    return person if len(problems.found) == before else None


def _custom(
    source: Mapping[str, Any], where: str, scope: Scope, problems: Problems, *, name: str | None
) -> CustomDefinition | None:
    before = len(problems.found)
    if "class" in source and not scope.operator:
        problems.add(
            pointer(where, "class"),
            "source_not_allowed",
            "A class is registered by the operator, and named with 'agent' here; registered:"
            f" {listed(scope.agents)}.",
        )
        return None
    known = _CUSTOM | _OWN if scope.operator else _CUSTOM
    fields = read_fields(source, where, known, problems, what="an agent of a class of its own")
    values = _values(fields, "custom_agent", name)
    own = {part: values.pop(part, None) for part in _OWN}
    if own["class"] is not None:
        values["agent"] = name
    elif scope.operator and "agent" not in values:
        detail = "'class' is needed: the agent's class, as 'package.module:Name'."
        problems.add(where, "invalid_definition", detail)
        return None
    scope.check_model(values.get("model"), fields.place("model"), problems)
    scope.check_agent(values.get("agent"), fields.place("agent"), problems)
    agent = construct(CustomDefinition, fields, _without_none(values), problems)
    return agent if len(problems.found) == before else None


def read_classes(raw: Mapping[str, Any], where: str, problems: Problems) -> list[AgentEntry]:
    """The classes among the agents of the operator's file, by the keys of the agents."""
    read: list[AgentEntry] = []
    for name, item in raw.items():
        if not isinstance(item, Mapping) or "class" not in item:
            continue
        entry = cast("Mapping[str, Any]", item)
        place, target, options = pointer(where, name), entry["class"], entry.get("options")
        if not isinstance(target, str) or not DOTTED.fullmatch(target):
            detail = f"'class': {shown(target)} is not of the form 'package.module:Name'."
            problems.add(pointer(place, "class"), "invalid_definition", detail)
        given = (
            {}
            if options is None
            else as_object(options, pointer(place, "options"), problems, what="'options'")
        )
        read.append(AgentEntry(name=name, target=str(target), options=given or {}, where=place))
    return read


def _values(fields: Fields, kind: str, name: str | None) -> dict[str, Any]:
    values = {**fields.values, "type": kind}
    if name is not None:
        values.setdefault("name", name)
    return values


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _tools(raw: Any, where: str, scope: Scope, problems: Problems) -> list[str]:
    names: list[str] = []
    for index, item in enumerate(as_list(raw, where, problems, what="'tools'")):
        place = pointer(where, index)
        if isinstance(item, Mapping):
            problems.add(
                place,
                "source_not_allowed",
                "A tool is given by its name here, not as an object with code of its own;"
                f" registered: {listed(scope.tools)}.",
            )
        elif not isinstance(item, str):
            problems.add(place, "invalid_definition", "A tool is given by its name.")
        elif item in names:
            problems.add(place, "invalid_definition", f"The tool {shown(item)} is there twice.")
        else:
            scope.check_tool(item, place, problems)
            names.append(item)
    return names


def read_handoffs(raw: Any, where: str, problems: Problems) -> list[HandoffDefinition]:
    """Handoffs: names of agents, or objects with `target`."""
    read: list[HandoffDefinition] = []
    for index, item in enumerate(as_list(raw, where, problems, what="'handoffs'")):
        place = pointer(where, index)
        source = {"target": item} if isinstance(item, str) else item
        mapping = as_object(source, place, problems, what="a handoff")
        if mapping is None:
            continue
        fields = read_fields(mapping, place, _HANDOFF, problems, what="a handoff")
        handoff = construct(HandoffDefinition, fields, fields.values, problems)
        read += [handoff] if handoff else []
    return read


def _note_type(written: Any, where: str, problems: Problems) -> None:
    if isinstance(written, str) and written in _LATER:
        problems.add(where, "not_available_yet", f"'type': {written!r} is not available yet.")
        return
    hint = did_you_mean(str(written), AGENT_TYPES)
    problems.add(
        where,
        "invalid_definition",
        f"'type': no agent type {shown(written)}.{hint} There are 'assistant_agent',"
        " 'user_proxy_agent' and 'custom_agent'.",
    )
