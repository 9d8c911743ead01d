"""Answers of a type from providers that take a JSON schema for them, or the call of a tool."""

import json
from functools import lru_cache
from typing import Any, Final, cast

from pydantic import BaseModel

from teamrun.json_types import JsonObject
from teamrun.models.structured import NotStrict, strict_schema
from teamrun.tools.schema import ParametersSchema, ToolSchema

__all__ = ["ANSWER_TOOL", "AS_JSON", "NO_TOOLS", "answer_tool", "unlimited", "unlimited_schema"]

ANSWER_TOOL: Final = "structured_answer"
"""The tool whose arguments are the answer."""
AS_JSON: Final = "Answer with one JSON object and nothing else: no other text, no code fence."
"""The instruction for any JSON."""
NO_TOOLS: Final = "Answer with text. No tool can be called now."

_LIMITS = frozenset(
    {
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "multipleOf",
        "pattern",
    }
)
_NAMES = frozenset({"$defs", "properties"})
"""Their members are names of the caller's, and no words of JSON Schema."""


def answer_tool(model: type[BaseModel]) -> ToolSchema:
    """The tool that the model calls to give an answer of that type."""
    return ToolSchema(
        name=ANSWER_TOOL,
        description="Gives your answer. Always call it to answer; do not answer with text.",
        parameters=cast(ParametersSchema, model.model_json_schema()),
    )


@lru_cache(maxsize=128)
def unlimited_schema(model: type[BaseModel]) -> str:
    """The JSON schema of a type, as text, for providers that restrict an answer to it.

    As `unlimited`; the reader of the answer checks the limits.

    Raises:
        NotStrict: The class has something that cannot be expressed, or contains itself.
    """
    return json.dumps(unlimited(model.model_json_schema()), ensure_ascii=False)


def unlimited(schema: JsonObject) -> JsonObject:
    """A schema as strict mode takes it, but without limits of numbers, texts and lists.

    Raises:
        NotStrict: The schema has something that cannot be expressed, or contains itself.
    """
    strict = strict_schema(schema)
    _check_not_recursive(strict)
    return _unlimited(strict)


def _unlimited(node: Any, *, names: bool = False) -> Any:
    match node:
        case dict():
            members = cast(JsonObject, node).items()
            return {
                key: _unlimited(value, names=not names and key in _NAMES)
                for key, value in members
                if names or key not in _LIMITS
            }
        case list():
            return [_unlimited(item) for item in cast("list[Any]", node)]
        case _:
            return node


def _check_not_recursive(schema: JsonObject) -> None:
    definitions: JsonObject = schema.get("$defs", {})
    uses = {name: _references(body) for name, body in definitions.items()}
    for name in uses:
        reached, left = set[str](), set(uses[name])
        while left:
            step = left.pop()
            if step == name:
                raise NotStrict(f"A strict schema cannot contain itself: {name!r}.")
            if step not in reached:
                reached.add(step)
                left |= uses.get(step, set())


def _references(node: Any) -> set[str]:
    match node:
        case dict():
            members = cast(JsonObject, node)
            ref = members.get("$ref")
            own = {ref.rpartition("/")[2]} if isinstance(ref, str) else set[str]()
            return own.union(*map(_references, members.values()))
        case list():
            return set[str]().union(*map(_references, cast("list[Any]", node)))
        case _:
            return set()
