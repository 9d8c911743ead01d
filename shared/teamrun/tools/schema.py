"""How a tool is described to a model."""

from typing import NotRequired

from typing_extensions import TypedDict  # pydantic reads typing's own only from Python 3.12 on

from teamrun.json_types import JsonObject

__all__ = ["ParametersSchema", "ToolSchema"]

# The key `$defs` is no identifier, hence the other notation.
_Definitions = TypedDict("_Definitions", {"$defs": NotRequired[JsonObject]})


class ParametersSchema(_Definitions):
    """The arguments of a tool: a JSON schema of type object."""

    type: str
    properties: JsonObject
    required: NotRequired[list[str]]
    additionalProperties: NotRequired[bool]


class ToolSchema(TypedDict):
    """A tool as a model sees it."""

    name: str
    description: NotRequired[str]
    parameters: NotRequired[ParametersSchema]
    strict: NotRequired[bool]
    """Whether the provider enforces the schema exactly."""
