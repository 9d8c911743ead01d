"""How a tool is described to a model."""

from typing import Any, NotRequired

from typing_extensions import TypedDict  # pydantic reads typing's own only from Python 3.12 on

__all__ = ["ParametersSchema", "ToolSchema"]

# The key `$defs` is no identifier, hence the other notation.
_Definitions = TypedDict("_Definitions", {"$defs": NotRequired[dict[str, Any]]})


class ParametersSchema(_Definitions):
    """The arguments of a tool: a JSON schema of type object."""

    type: str
    properties: dict[str, Any]
    required: NotRequired[list[str]]
    additionalProperties: NotRequired[bool]


class ToolSchema(TypedDict):
    """A tool as a model sees it."""

    name: str
    description: NotRequired[str]
    parameters: NotRequired[ParametersSchema]
    strict: NotRequired[bool]
    """The provider is to hold the model to the schema exactly."""
