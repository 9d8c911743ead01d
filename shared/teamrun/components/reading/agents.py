"""Agents as people write them, read into the canonical form."""

from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

from teamrun.components.definitions.agents import (
    AssistantDefinition,
    CustomDefinition,
    HandoffDefinition,
    ToolOfAgent,
    UserProxyDefinition,
)
from teamrun.components.definitions.base import AgentDefinition, BaseDelegateDefinition
from teamrun.components.definitions.contexts import ContextDefinition
from teamrun.components.definitions.kinds import AGENTS, DELEGATES
from teamrun.components.definitions.operator_code import CodeEntry, is_dotted
from teamrun.components.definitions.table import load
from teamrun.components.reading.fields import Fields, as_list, as_object, construct, read_fields
from teamrun.components.reading.mentions import add_tool, check_handoffs
from teamrun.components.reading.people import check_person
from teamrun.components.reading.problems import (
    Problems,
    did_you_mean,
    joined,
    listed,
    pointer,
    shown,
)
from teamrun.components.reading.scope import Scope
from teamrun.json_types import JsonMapping, JsonObject

__all__ = [
    "read_agent",
    "read_assistant",
    "read_classes",
    "read_context",
    "read_custom",
    "read_handoffs",
    "read_user_proxy",
]

_OWN: Final = {"class": "class", "options": "options"}
"""Fields of an agent that only the operator's file may contain; `read_classes` reads them."""
_RUNNERS: Final = ("agent", "team")
"""The fields by which an object in `tools` is an agent or a team as a tool."""
_HANDOFF: Final = {name: name for name in HandoffDefinition.model_fields}
_CONTEXT: Final = {name: name for name in ContextDefinition.model_fields}


class ReadAgent(Protocol):
    """The function that reads agents of one kind; None: a problem was added."""

    def __call__(
        self,
        source: JsonMapping,
        where: str,
        scope: Scope,
        problems: Problems,
        *,
        name: str | None,
    ) -> AgentDefinition | None:
        """The agent; `name` is its name if the document gives none."""
        ...


def read_agent(
    raw: Any, where: str, scope: Scope, problems: Problems, *, name: str | None = None
) -> AgentDefinition | None:
    """One agent; `name` is the default name. None: a problem was added."""
    source = as_object(raw, where, problems, what="an agent")
    if source is None:
        return None
    usual = "custom_agent" if "class" in source and scope.operator else "assistant_agent"
    written = source.get("type", usual)
    kind = AGENTS.named(written)
    if kind is None:
        _note_type(written, pointer(where, "type"), problems)
        return None
    read: ReadAgent = load(kind.read)
    return read(source, where, scope, problems, name=name)


def read_context(raw: Any, where: str, problems: Problems) -> ContextDefinition | None:
    """The part of the conversation that a model sees."""
    source = as_object(raw, where, problems, what="a model context")
    if source is None:
        return None
    fields = read_fields(source, where, _CONTEXT, problems, what="a model context")
    return construct(ContextDefinition, fields, fields.values, problems)


def read_assistant(
    source: JsonMapping, where: str, scope: Scope, problems: Problems, *, name: str | None
) -> AssistantDefinition | None:
    """An agent that answers with a model."""
    before = len(problems.found)
    known = {**AGENTS["assistant_agent"].fields, "role": "role"}
    fields = read_fields(source, where, known, problems, what="an agent")
    values = _values(fields, "assistant_agent", name)
    role = scope.role(values.pop("role", None), fields.place("role"), problems)
    scope.check_model(values.get("model"), fields.place("model"), problems)
    if values.get("tools") is not None:
        values["tools"] = _tools(values["tools"], fields.place("tools"), scope, problems)
    if values.get("inline_tools"):
        scope.check_source(fields.place("inline_tools"), problems)
    if values.get("workbench") is not None:
        # Imported late: few agents have a workbench.
        from teamrun.components.reading.mcp import read_workbenches

        place = fields.place("workbench")
        values["workbench"] = read_workbenches(values["workbench"], place, scope, problems)
    if values.get("handoffs") is not None:
        values["handoffs"] = read_handoffs(values["handoffs"], fields.place("handoffs"), problems)
    if values.get("model_context") is not None:
        place = fields.place("model_context")
        values["model_context"] = read_context(values["model_context"], place, problems)
    values = _without_none(values)
    if role is not None:
        # Imported late: few agents have a role.
        from teamrun.components.reading.roles import with_role

        values = with_role(values, role)
    lacking = () if "model" in values or "model" in fields.meant else ("model",)
    if lacking:
        scope.need_model(fields.place("model"), problems)
    agent = construct(AssistantDefinition, fields, values, problems, unknown=lacking)
    if agent is not None:
        check_handoffs(agent, fields.place("handoffs"), problems)
    return agent if len(problems.found) == before else None


def read_user_proxy(
    source: JsonMapping, where: str, _scope: Scope, problems: Problems, *, name: str | None
) -> UserProxyDefinition | None:
    """A user proxy."""
    before = len(problems.found)
    fields = read_fields(
        source, where, AGENTS["user_proxy_agent"].fields, problems, what="a user proxy"
    )
    check_person(fields, problems)
    values = _values(fields, "user_proxy_agent", name)
    person = construct(UserProxyDefinition, fields, values, problems)
    return person if len(problems.found) == before else None


def read_custom(
    source: JsonMapping, where: str, scope: Scope, problems: Problems, *, name: str | None
) -> CustomDefinition | None:
    """An agent of a class that the operator registered."""
    before = len(problems.found)
    if "class" in source and not scope.operator:
        problems.add(
            pointer(where, "class"),
            "source_not_allowed",
            "A class is registered by the operator, and named with 'agent' here; registered:"
            f" {listed(scope.agents)}.",
        )
        return None
    known = AGENTS["custom_agent"].fields | (_OWN if scope.operator else {})
    fields = read_fields(source, where, known, problems, what="a custom agent")
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


def read_classes(raw: JsonMapping, where: str, problems: Problems) -> list[CodeEntry]:
    """The classes among the agents of the operator's file, by the keys of the agents."""
    read: list[CodeEntry] = []
    for name, item in raw.items():
        if not isinstance(item, Mapping) or "class" not in item:
            continue
        entry = cast("JsonMapping", item)
        place, target, options = pointer(where, name), entry["class"], entry.get("options")
        if not isinstance(target, str) or not is_dotted(target):
            detail = f"'class': {shown(target)} is not of the form 'package.module:Name'."
            problems.add(pointer(place, "class"), "invalid_definition", detail)
        given = (
            {}
            if options is None
            else as_object(options, pointer(place, "options"), problems, what="'options'")
        )
        read.append(CodeEntry(name=name, target=str(target), options=given or {}, where=place))
    return read


def _values(fields: Fields, kind: str, name: str | None) -> JsonObject:
    values = {**fields.values, "type": kind}
    if name is not None:
        values.setdefault("name", name)
    return values


def _without_none(values: JsonMapping) -> JsonObject:
    return {name: value for name, value in values.items() if value is not None}


def _tools(raw: Any, where: str, scope: Scope, problems: Problems) -> list[ToolOfAgent]:
    tools: dict[str, ToolOfAgent] = {}
    for index, item in enumerate(as_list(raw, where, problems, what="'tools'")):
        place = pointer(where, index)
        if isinstance(item, Mapping):
            delegate = _delegate(cast("JsonMapping", item), place, scope, problems)
            if delegate is not None:
                add_tool(tools, delegate, place, problems)
        elif not isinstance(item, str):
            problems.add(place, "invalid_definition", "A tool is given by its name.")
        else:
            scope.check_tool(item, place, problems)
            add_tool(tools, item, place, problems)
    return list(tools.values())


def _delegate(
    item: JsonMapping, where: str, scope: Scope, problems: Problems
) -> BaseDelegateDefinition | None:
    """An agent or a team as a tool; None: a problem was added."""
    written = item.get("type", next((f"{name}_tool" for name in _RUNNERS if name in item), None))
    kind = DELEGATES.named(written)
    if kind is None:
        problems.add(
            where,
            "source_not_allowed",
            "A tool is referred to by its name here, not defined by an object with code;"
            f" registered: {listed(scope.tools)}. An agent or a team as a tool is an object with"
            " 'agent' or 'team'.",
        )
        return None
    fields = {name: value for name, value in item.items() if name != "type"}
    return load(kind.read)(kind.type, fields, where, scope, problems)


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
    if isinstance(written, str) and written in AGENTS.planned:
        problems.add(where, "not_available_yet", f"'type': {written!r} is not available yet.")
        return
    hint = did_you_mean(str(written), AGENTS.names)
    problems.add(
        where,
        "invalid_definition",
        f"'type': no agent type {shown(written)}.{hint} There are {joined(AGENTS.types)}.",
    )
