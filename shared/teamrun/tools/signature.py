"""Signatures of functions: the arguments that a model fills in, and those that are injected."""

import functools
import inspect
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Field, PydanticUserError, TypeAdapter, create_model
from pydantic.fields import FieldInfo

from teamrun.core.cancellation import CancellationToken
from teamrun.errors import UsageError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.tools.context import ToolContext

__all__ = ["Signature", "function_name", "inner_function", "read_signature", "without_schema"]


class Signature(NamedTuple):
    """The parameters of a function, as a tool needs them."""

    args_type: type[BaseModel]
    arguments: tuple[tuple[str, str], ...]
    """Name of the field and name of the parameter."""
    injected: tuple[tuple[str, type], ...]
    """Name and kind of each parameter that is filled in here."""
    hints: JsonMapping

    @property
    def returns(self) -> Any:
        """The annotation of the result."""
        return self.hints.get("return")


def inner_function(func: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a `partial`; any other one itself."""
    return cast("functools.partial[Any]", func).func if _is_partial(func) else func


def _is_partial(func: Callable[..., Any]) -> bool:
    return isinstance(func, functools.partial)


def function_name(func: Callable[..., Any]) -> str:
    """The name of the function, or the class of a callable object."""
    inner = inner_function(func)
    return str(getattr(inner, "__name__", type(inner).__name__))


def read_signature(func: Callable[..., Any]) -> Signature:
    """The signature of a function.

    Raises:
        UsageError: A model cannot call the function; the message names the parameter.
    """
    inner = inner_function(func)
    annotated = inner if inspect.isroutine(inner) else type(inner).__call__
    try:
        hints = get_type_hints(annotated, include_extras=True)
    except (NameError, TypeError, SyntaxError) as error:
        raise UsageError(
            f"Function {function_name(func)!r} cannot be a tool: its annotations cannot be read "
            f"({error}). Import the names that they use at the top of the module."
        ) from error
    fields: JsonObject = {}
    arguments: list[tuple[str, str]] = []
    injected: list[tuple[str, type]] = []
    for name, parameter in inspect.signature(func).parameters.items():
        special = _injected(name, hints.get(name))
        if special is not None:
            injected.append((name, special))
            continue
        _check_parameter(function_name(func), parameter, annotated=name in hints)
        field, definition = _field(name, hints[name], parameter)
        fields[field] = definition
        arguments.append((field, name))
    try:
        args_type = create_model(f"{function_name(func)}args", **fields)
    except (PydanticUserError, NameError) as error:
        asked = {name: hints[name] for _, name in arguments}
        raise without_schema(function_name(func), asked, error) from error
    return Signature(
        args_type=args_type,
        arguments=tuple(arguments),
        injected=tuple(injected),
        hints=hints,
    )


def without_schema(func: str, hints: JsonMapping, error: Exception) -> UsageError:
    """The error for parameters that JSON Schema cannot describe."""
    named = [f"{name!r} ({_type_name(hint)})" for name, hint in hints.items() if _is_opaque(hint)]
    which = f"the type of parameter {', '.join(named)}" if named else "its parameters"
    cause = str(error).partition("\n")[0].partition(". ")[0]
    return UsageError(
        f"Function {func!r} cannot be a tool: {which} has no JSON schema. Use str, int, float, "
        "bool, list, dict, Literal, a dataclass, a TypedDict (from typing_extensions before Python "
        f"3.12) or a pydantic model. ({cause})"
    )


def _is_opaque(hint: Any) -> bool:
    try:
        TypeAdapter(hint).json_schema()
    except (PydanticUserError, NameError):
        return True
    return False


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _check_parameter(func: str, parameter: inspect.Parameter, *, annotated: bool) -> None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        problem = f"a model cannot fill {str(parameter)!r}; name each parameter."
    elif parameter.kind is parameter.POSITIONAL_ONLY:
        problem = f"parameter {parameter.name!r} is positional only; remove the '/'."
    elif not annotated:
        problem = (
            f"parameter {parameter.name!r} has no type annotation, so its schema is not known."
        )
    else:
        return
    raise UsageError(
        f"Function {func!r} cannot be a tool: {problem}", function=func, parameter=parameter.name
    )


def _injected(name: str, hint: Any) -> type | None:
    kinds = _alternatives(hint)
    for special in (CancellationToken, ToolContext):
        if special in kinds:
            return special
    return CancellationToken if name == "cancellation_token" else None


def _alternatives(hint: Any) -> list[Any]:
    """The types of a union, without what `Annotated` adds to them."""
    if get_origin(hint) is Annotated:
        return _alternatives(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return [kind for inner in get_args(hint) for kind in _alternatives(inner)]
    return [hint]


def _field(name: str, hint: Any, parameter: inspect.Parameter) -> tuple[str, tuple[Any, FieldInfo]]:
    """The name of the parameter's field, and its type and details for `create_model`."""
    details: JsonObject = {}
    if get_origin(hint) is Annotated:
        texts = [note for note in get_args(hint)[1:] if isinstance(note, str)]
        details = {"description": texts[0]} if texts else {}
    # Names that a pydantic class cannot have as a field: they are data, not our choice.
    taken = name.startswith(("_", "model_")) or hasattr(BaseModel, name)
    if taken:
        details["alias"] = name
    given = parameter.default
    if isinstance(given, FieldInfo):  # `= Field(7, description="...")`, as in a pydantic class
        hint = Annotated[hint, given]
    elif given is not parameter.empty:
        details["default"] = given
    return (f"argument_{name}" if taken else name), (hint, Field(**details))
