"""Functions that a submitted definition brings along as source, executed in a sandbox.

The source is never executed in this process. What a model has to know of the function, its
parameters, is read from the syntax tree.
"""

import ast
import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast

from teamrun.code.base import CodeExecutor
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ToolError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.code import CodeBlock
from teamrun.tools.base import Tool
from teamrun.tools.context import ToolContext
from teamrun.tools.schema import ParametersSchema, ToolSchema

__all__ = ["InlineTool", "Signature", "signature"]

_RESULT: Final = "result.json"
_MARK: Final = "__teamrun_result__"
_TYPES: Final[dict[str, JsonObject]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "dict": {"type": "object"},
    "Dict": {"type": "object"},
    "None": {"type": "null"},
    "Any": {},
    "object": {},
}
_LISTS: Final = frozenset({"list", "List", "Sequence", "Iterable", "tuple", "Tuple", "set", "Set"})
_RUN: Final = """

if True:  # the call; the function is above
    import asyncio as _asyncio, inspect as _inspect, json as _json

    _value = {name}(**_json.loads({arguments!r}))
    if _inspect.isawaitable(_value):
        async def _awaited(value=_value):
            return await value
        _value = _asyncio.run(_awaited())
    if hasattr(_value, "model_dump"):
        _value = _value.model_dump(mode="json")
    with open("{file}", "w") as _file:
        _json.dump({{"{mark}": _value}}, _file, default=str)
"""


class Signature(NamedTuple):
    """A function as its source defines it."""

    name: str
    parameters: ParametersSchema


def signature(source: str) -> Signature:
    """The first function of a source.

    Raises:
        ValueError: There is none, or a parameter is of a type that is not known here.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"the source is not valid Python: {error}") from None
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    function = next((node for node in tree.body if isinstance(node, functions)), None)
    if function is None:
        raise ValueError("the source defines no function")
    given = function.args
    if given.vararg or given.kwarg or given.posonlyargs:
        raise ValueError("a function as a tool has named parameters alone, without * and **")
    without = len(given.args) - len(given.defaults)
    defaults: list[ast.expr | None] = [*([None] * without), *given.defaults, *given.kw_defaults]
    properties: JsonObject = {}
    required: list[str] = []
    for argument, default in zip([*given.args, *given.kwonlyargs], defaults, strict=True):
        schema = _schema(argument.annotation, argument.arg)
        if default is None:
            required.append(argument.arg)
        elif isinstance(default, ast.Constant) and _is_json(default.value):
            schema["default"] = default.value
        properties[argument.arg] = schema
    parameters = ParametersSchema(
        type="object", properties=properties, required=required, additionalProperties=False
    )
    return Signature(function.name, parameters)


def _is_json(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _schema(annotation: ast.expr | None, parameter: str) -> JsonObject:
    """The JSON schema of the annotation of a parameter."""
    if annotation is None:
        raise ValueError(f"the parameter {parameter!r} has no annotation")
    try:
        return _schema_of(annotation)
    except _UnknownType as error:
        raise ValueError(
            f"the type {error} of {parameter!r} is not known here; use str, int, float, bool,"
            " list, dict, Literal, Optional, Union or Annotated of these"
        ) from None
    except (SyntaxError, ValueError, RecursionError):
        raise ValueError(f"the annotation of {parameter!r} is not valid") from None


class _UnknownType(Exception):
    """An annotation without a schema."""


def _schema_of(node: ast.expr) -> JsonObject:
    match node:
        case ast.Constant(value=None):
            return dict(_TYPES["None"])
        case ast.Constant(value=str(text)):
            return _schema_of(ast.parse(text, mode="eval").body)
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in _TYPES:
            return dict(_TYPES[name])
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in _LISTS:
            return {"type": "array"}
        case ast.BinOp(op=ast.BitOr()):
            return {"anyOf": [_schema_of(node.left), _schema_of(node.right)]}
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            several = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
            return _schema_of_generic(name, several)
        case _:
            raise _UnknownType(repr(ast.unparse(node)[:100]))


def _schema_of_generic(name: str, inner: Sequence[ast.expr]) -> JsonObject:
    constants = [each.value for each in inner if isinstance(each, ast.Constant)]
    match name:
        case "Annotated":
            texts = [each for each in constants if isinstance(each, str)]
            described: JsonObject = {"description": texts[0]} if texts else {}
            return _schema_of(inner[0]) | described
        case "Optional":
            return {"anyOf": [_schema_of(inner[0]), dict(_TYPES["None"])]}
        case "Union":
            return {"anyOf": [_schema_of(each) for each in inner]}
        case "Literal":
            return {"enum": [each for each in constants if _is_json(each)]}
        case _ if name in _LISTS:
            return {"type": "array", "items": _schema_of(inner[0])}
        case _:
            return _schema_of(ast.Name(name))


class InlineTool(Tool):
    """A function of a definition as a tool, each call in a sandbox of its own.

    Args:
        source: The function, with what it imports.
        name: The name under which the agent uses it.
        description: The description for models.
        executor: The sandbox.

    Raises:
        ValueError: The source defines no function that can be a tool.
    """

    def __init__(self, source: str, *, name: str, description: str, executor: CodeExecutor) -> None:
        super().__init__(name, description)
        self._source = source
        self._signature = signature(source)
        self._executor = executor

    @property
    def schema(self) -> ToolSchema:
        """The tool as a model sees it."""
        parameters = self._signature.parameters
        return ToolSchema(
            name=self.name, description=self.description, parameters=parameters, strict=False
        )

    async def run_json(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
        context: ToolContext | None = None,
    ) -> Any:
        """Call the function in the sandbox.

        Raises:
            ToolError: The function raised an exception, or a limit ended it.
        """
        call = _RUN.format(
            name=self._signature.name, arguments=json.dumps(dict(args)), file=_RESULT, mark=_MARK
        )
        block = CodeBlock(self._source + call, "python")
        done = await self._executor.execute([block], None, cancellation_token)
        if done.result.exit_code or _RESULT not in done.files:
            text = done.result.output.strip()[-2000:] or "it returned nothing"
            raise ToolError(f"{self.name} failed in the sandbox: {text}")
        try:
            return cast("JsonObject", json.loads(done.files[_RESULT]))[_MARK]
        except (ValueError, KeyError, TypeError) as error:
            raise ToolError(f"{self.name} returned no JSON value.") from error
