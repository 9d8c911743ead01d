"""Function tools of AutoGen components with their source, if the operator has a sandbox for it."""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from teamrun.components.definitions.agents import InlineToolDefinition
from teamrun.components.reading.problems import Problems, pointer
from teamrun.json_types import JsonMapping

__all__ = ["read_inline"]


def read_inline(config: JsonMapping, where: str, problems: Problems) -> InlineToolDefinition | None:
    """The function of a `FunctionTool`; None: a problem was added."""
    place = pointer(where, "source_code")
    if config.get("has_cancellation_support"):
        detail = "A function in the sandbox gets no cancellation token; remove the parameter."
        problems.add(place, "component_json_not_supported", detail)
        return None
    try:
        lines = [_import(each) for each in config.get("global_imports") or ()]
    except (TypeError, KeyError, ValueError):
        detail = "An import is a text, {'module', 'imports'} or {'name', 'alias'}."
        problems.add(pointer(where, "global_imports"), "invalid_definition", detail)
        return None
    try:
        return InlineToolDefinition.model_validate(
            {
                "name": config.get("name"),
                "description": config.get("description") or config.get("name"),
                "source": "\n".join([*lines, str(config.get("source_code"))]),
            }
        )
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        problems.add(place, "invalid_definition", f"The tool cannot be executed: {found['msg']}.")
        return None


def _import(raw: Any) -> str:
    """One import as a line of Python; its names are checked, because it becomes code."""
    if isinstance(raw, str):
        return f"import {_dotted(raw)}"
    source = cast("Mapping[str, Any]", raw)
    if "module" in source:
        return f"from {_dotted(source['module'])} import {', '.join(map(_name, source['imports']))}"
    return f"import {_name(source)}"


def _name(raw: Any) -> str:
    if isinstance(raw, str):
        return _dotted(raw)
    return f"{_dotted(raw['name'])} as {_dotted(raw['alias'])}"


def _dotted(name: Any) -> str:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(name)
    return name
