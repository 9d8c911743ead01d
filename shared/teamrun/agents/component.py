"""Agents as components: what their attributes do not say as it is written."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel

from teamrun.agents.assistant_checks import DEFAULT_REPAIRS
from teamrun.agents.user_proxy import UserProxyAgent
from teamrun.core.checks import wrong_type
from teamrun.core.component.base import ComponentWarning
from teamrun.core.component.loading import given
from teamrun.core.schema_model import UnusableSchema, model_of_schema
from teamrun.errors import DefinitionError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.tools.approval import without_terminal
from teamrun.tools.workbench import StaticStreamWorkbench, StaticWorkbench

__all__ = [
    "make_assistant",
    "make_code_executor",
    "make_user_proxy",
    "write_assistant",
    "write_code_executor",
    "write_user_proxy",
]

_FACTORY = "autogen_agentchat.messages.StructuredMessageFactory"


def write_assistant(agent: Any) -> JsonObject:
    """Tools are written in a workbench, as AutoGen does since its version 0.5.5."""
    tools = [without_terminal(tool) for tool in agent._tools]
    benches = [StaticStreamWorkbench(tools)] if tools else list(agent._workbenches)
    choice, repairs = agent._tool_choice, agent._output_repairs
    return {
        "tools": None,
        "workbench": benches or None,
        "handoffs": list(agent._handoffs.values()) or None,
        "memory": agent._memory or None,
        "system_message": next((each.content for each in agent._system_messages), None),
        "structured_message_factory": _factory(agent._output_content_type, agent._output_format),
        "tool_choice": None if choice == "auto" else choice,
        "output_repairs": None if repairs == DEFAULT_REPAIRS else repairs,
    }


def make_assistant(cls: Any, arguments: JsonObject) -> Any:
    """An agent; tools in a plain workbench become its own.

    Raises:
        TypeError: The metadata are not texts by name; AutoGen refuses such a component, too.
    """
    metadata: JsonMapping = arguments.get("metadata") or {}
    if not isinstance(metadata, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - JSON data
        raise wrong_type("metadata", "an object with texts", metadata)
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise wrong_type(f"metadata[{key!r}]", "a text", value)
    rest = {name: value for name, value in arguments.items() if name not in _REPLACED}
    factory: JsonMapping | None = arguments.get("structured_message_factory")
    if factory is not None:
        rest |= _structured(factory)
    benches: Sequence[Any] = arguments.get("workbench") or ()
    plain = [bench for bench in benches if _is_plain(bench)]
    if len(plain) < len(benches):
        rest["workbench"] = list(benches)
    else:
        rest["tools"] = [
            *(arguments.get("tools") or ()),
            *(tool for bench in plain for tool in bench.tools),
        ] or None
    return cls(system_message=arguments.get("system_message"), **rest)


_REPLACED = ("system_message", "structured_message_factory", "workbench", "tools")


def write_code_executor(agent: Any) -> JsonObject:
    """Its instructions are written as a text."""
    return {"system_message": next((each.content for each in agent._system_messages), None)}


def make_code_executor(cls: Any, arguments: JsonObject) -> Any:
    """AutoGen omits fields that are None; there, None means no system message."""
    return cls(**{"system_message": None, **arguments})


def write_user_proxy(agent: Any) -> JsonObject:
    """A function that asks the person belongs to the process; it is given to `load_component`."""
    if agent._input_func is not input:
        warnings.warn(
            f"The input_func of UserProxyAgent {agent.name!r} is not in its component; pass it to "
            "load_component(..., input_func=...).",
            ComponentWarning,
            stacklevel=2,
        )
    return {"input_func": None}


def make_user_proxy(cls: type[UserProxyAgent], arguments: JsonObject) -> UserProxyAgent:
    """A person, who is asked with the function that the program passed."""
    if arguments.pop("input_func", None) is not None:
        raise DefinitionError(
            "'input_func' is code, which a component cannot bring along; pass it to "
            "load_component(..., input_func=...) and remove it.",
            code="source_not_allowed",
        )
    return cls(**arguments, input_func=given().input_func)


def _factory(content_type: type[BaseModel] | None, format_string: str | None) -> JsonObject | None:
    if content_type is None:
        return None
    name, schema = content_type.__name__, content_type.model_json_schema()
    try:
        model_of_schema(schema, name)
    except UnusableSchema as error:
        warnings.warn(
            f"The schema of {name!r} cannot be read again: {error} Or pass the class to "
            f"load_component(..., classes=[{name}]).",
            ComponentWarning,
            stacklevel=2,
        )
    config = {
        "json_schema": schema,
        "format_string": format_string,
        "content_model_name": name,
    }
    return {
        "provider": _FACTORY,
        "component_type": "structured_message",
        "version": 1,
        "component_version": 1,
        "label": "StructuredMessageFactory",
        "config": {name: value for name, value in config.items() if value is not None},
    }


def _structured(factory: JsonMapping) -> JsonObject:
    config: JsonMapping = factory.get("config", {})
    name = str(config.get("content_model_name"))
    content_type = given().classes.get(name)
    if content_type is None:
        try:
            content_type = model_of_schema(config.get("json_schema") or {}, name)
        except UnusableSchema as error:
            raise DefinitionError(
                f"The schema of {name!r} cannot be used: {error} Or pass its pydantic class to "
                f"load_component(..., classes=[{name}]).",
                pointer="/config/structured_message_factory",
                code="component_json_not_supported",
            ) from error
    return {
        "output_content_type": content_type,
        "output_content_type_format": config.get("format_string"),
    }


def _is_plain(bench: object) -> bool:
    """Whether a workbench is only a list of tools."""
    plain = type(bench) in (StaticWorkbench, StaticStreamWorkbench)
    return plain and not cast("StaticWorkbench", bench).tool_overrides
