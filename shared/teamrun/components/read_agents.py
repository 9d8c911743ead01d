"""Agents as people write them, read into the canonical form."""

from collections.abc import Mapping
from typing import Any, Final

from teamrun.components.definitions import (
    AgentDefinition,
    AssistantDefinition,
    ContextDefinition,
    HandoffDefinition,
    UserProxyDefinition,
)
from teamrun.components.fields import Fields, as_list, as_object, construct, read_fields
from teamrun.components.persons import check_person
from teamrun.components.problems import Problems, did_you_mean, listed, pointer, shown
from teamrun.components.scope import Scope

__all__ = ["AGENT_TYPES", "read_agent", "read_context", "read_handoffs"]

AGENT_TYPES: Final[Mapping[str, str]] = {
    "assistant_agent": "assistant_agent",
    "AssistantAgent": "assistant_agent",
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
_HANDOFF: Final = {name: name for name in HandoffDefinition.model_fields}
_CONTEXT: Final = {name: name for name in ContextDefinition.model_fields}


def read_agent(
    raw: Any, where: str, scope: Scope, problems: Problems, *, name: str | None = None
) -> AgentDefinition | None:
    """One agent; `name` is its name where the document gives none. None: a problem was noted."""
    source = as_object(raw, where, problems, what="an agent")
    if source is None:
        return None
    written = source.get("type", "assistant_agent")
    kind = AGENT_TYPES.get(written) if isinstance(written, str) else None
    if kind is None:
        _note_type(written, pointer(where, "type"), problems)
        return None
    if kind == "user_proxy_agent":
        return _person(source, where, problems, name=name)
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
        f"'type': no agent type {shown(written)}.{hint} There are 'assistant_agent' and"
        " 'user_proxy_agent'.",
    )
