"""Functions as components: their source is written for AutoGen, and never executed here."""

import inspect
import warnings
from collections.abc import Callable
from textwrap import dedent
from typing import Any, Final

from teamrun.core.cancellation import CancellationToken
from teamrun.core.component.base import ComponentWarning
from teamrun.errors import DefinitionError
from teamrun.json_types import JsonObject

__all__ = ["refuse_source", "source_of", "write_function"]

_OURS: Final = {
    "_timeout": None,
    "effects": "none",
    "on_unknown": "tell",
    "session": "stateless",
    "on_lost": "tell",
}
"""Attributes that no component has, with their usual values."""


def write_function(tool: Any) -> JsonObject:
    """A function; it has no source if it is no plain function, such as a method or a lambda."""
    injected: Any = tool._signature.injected
    lost = [name.lstrip("_") for name, usual in _OURS.items() if getattr(tool, name) != usual]
    if lost:
        warnings.warn(
            f"{', '.join(map(repr, lost))} of the tool {tool.name!r} are not in its component, and"
            " AutoGen has no such settings; pass the tool to load_component(..., tools=[...]).",
            ComponentWarning,
            stacklevel=2,
        )
    return {
        **source_of(tool),
        "global_imports": list(tool._global_imports),
        "strict": bool(tool.schema.get("strict")),
        "has_cancellation_support": any(kind is CancellationToken for _, kind in injected),
    }


def source_of(tool: object) -> JsonObject:
    """`source_code` of a tool around a plain function, else None for it."""
    func: Callable[..., Any] | None = getattr(tool, "_func", None)
    return {"source_code": _source(func) if inspect.isfunction(func) else None}


def refuse_source(cls: type, arguments: JsonObject) -> Any:
    """Raise the error for a function that the program did not pass.

    Raises:
        DefinitionError: Always.
    """
    name = arguments.get("name")
    raise DefinitionError(
        f"The tool {name!r} is Python source, which is never executed from a component: pass the "
        "function of that name to load_component(..., tools=[...]).",
        code="source_not_allowed",
    )


def _source(func: Callable[..., Any]) -> str | None:
    try:
        text = dedent(inspect.getsource(func))
    except (OSError, TypeError):  # typed into an interpreter
        return None
    _, sign, rest = text.partition("def ")
    if not sign or not rest.startswith(f"{func.__name__}("):  # a lambda, or a wrapper
        return None
    lines = text.splitlines(keepends=True)
    begin = next(n for n, line in enumerate(lines) if line.startswith(("def ", "async def ")))
    return "".join(lines[begin:])
