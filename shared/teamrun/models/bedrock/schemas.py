"""JSON schemas for answers in the form that Bedrock accepts.

It takes what strict mode takes, except limits of numbers, texts and lists, and classes that contain
themselves.
Source: https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
"""

import json
from functools import lru_cache
from typing import Any, cast

from pydantic import BaseModel

from teamrun.json_types import JsonObject
from teamrun.models.structured import NotStrict, strict_schema

__all__ = ["answer_schema"]

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


@lru_cache(maxsize=128)
def answer_schema(model: type[BaseModel]) -> JsonObject:
    """The `outputConfig.textFormat` for an answer that is to be read as `model`.

    The reader of the answer checks the limits.

    Raises:
        NotStrict: The class has something that cannot be expressed, or contains itself.
    """
    schema = strict_schema(model.model_json_schema())
    _check_not_recursive(schema)
    text = json.dumps(_unlimited(schema), ensure_ascii=False)
    structure = {"jsonSchema": {"schema": text, "name": model.__name__[:64]}}
    return {"type": "json_schema", "structure": structure}


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
                raise NotStrict(f"A strict schema for Bedrock cannot contain itself: {name!r}.")
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
