"""What all commands have in common: errors in the terms of the command line."""

import re
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Protocol, cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from teamrun.cli.problem import print_problem
from teamrun.errors import TeamrunError
from teamrun.json_types import JsonObject

__all__ = ["Command", "in_options", "wrong_use"]

_WRONG_USE: Final = cast("type[Exception]", typer.BadParameter.__mro__[2])
"""The base class of what typer raises for wrong use; it has no public name."""


class _WrongUse(Protocol):
    exit_code: int

    def format_message(self) -> str: ...
    def show(self) -> None: ...


_OTHER_NAMES: Mapping[str, Sequence[str]] = {
    "after_seq": ("after",),
    "authorization": ("api_key",),
    "content": ("text",),
    "decision": ("approve",),
    "input": ("task", "say"),
    "input_file_id": ("file",),
    "input_url": ("file",),
    "team_spec": ("team",),
    "thread_id": ("thread",),
    "type": ("event",),
    "url": ("to",),
    "webhook": ("webhook_url",),
}
"""Fields of requests whose options have other names; all others differ in `-` and the plural."""

_WORD = re.compile(r"`([a-z_]+)(?:: ([^`\s]+))?`")
"""A field in a text, perhaps with a value, as in `on_invalid: skip`."""

_HEADERS: Mapping[str, str] = {"as `Authorization: Bearer <key>`": "authorization"}
"""How a text of the server names a header, and the name of its field."""

_Parameter = TyperArgument | TyperOption


class Command(TyperCommand):
    """A command whose errors name its options in the place of fields of a request."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            TeamrunError: What the command raised, with options in the place of fields.
        """
        try:
            return super().invoke(ctx)
        except TeamrunError as error:
            raise in_options(error, _known(self.params)) from error


@contextmanager
def wrong_use(*, as_json: bool) -> Generator[None]:
    """Print what typer finds wrong with the command line, and exit."""
    try:
        yield
    except _WRONG_USE as caught:
        error = cast("_WrongUse", caught)
        if as_json:
            print_problem(code="usage", detail=error.format_message())
        else:
            error.show()
        sys.exit(error.exit_code)


def in_options(error: TeamrunError, options: Mapping[str, str]) -> TeamrunError:
    """An error of a request, in the terms of the command line.

    Args:
        error: The error; `errors` of its data lists invalid fields.
        options: The options and arguments by the names of fields.
    """
    faults = [_named(fault, options) for fault in error.data.get("errors", ())]
    placed = [fault for fault in faults if "option" in fault]
    told = _in_words(error.message, options)
    if placed and len(placed) == len(faults):
        lines = [_line(fault, options) for fault in placed]
        several = f"{len(lines)} values are invalid:"
        told = lines[0] if len(lines) == 1 else "\n  ".join([several, *lines])
    if told == error.message and not placed:
        return error
    return type(error)(told, **{**error.data, "errors": faults})


def _known(params: Iterable[object]) -> dict[str, str]:
    """The names of options and arguments, as they are typed, by the names of fields."""
    shown = {
        str(param.name).rstrip("_"): _shown(param)
        for param in params
        if isinstance(param, _Parameter)
    }
    plural = {f"{name}s": text for name, text in shown.items()}
    other = {
        field: shown[name]
        for field, names in _OTHER_NAMES.items()
        for name in names
        if name in shown
    }
    shown.pop("url", None)  # of the server; the field of this name is another one
    return {**plural, **shown, **other}


def _shown(param: _Parameter) -> str:
    if isinstance(param, TyperArgument):
        return (param.metavar or str(param.name)).upper()
    return max(param.opts, key=len)


def _named(fault: JsonObject, options: Mapping[str, str]) -> JsonObject:
    """A fault with the option that its place means, if there is one."""
    found = next(_places(_path(fault), options), None)
    return fault if found is None else {**fault, "option": found.option}


class _Found(NamedTuple):
    option: str
    depth: int
    """How many parts of the path lead to the value of the option."""


def _places(path: Sequence[str], options: Mapping[str, str]) -> Iterator[_Found]:
    """The options on a path; a part and the next one may name an option together."""
    for number, part in enumerate(path):
        for names in ([part, *path[number + 1 : number + 2]], [part]):
            if (option := options.get("_".join(names))) is not None:
                yield _Found(option, number + len(names))


def _path(fault: JsonObject) -> list[str]:
    """The names on the way to the place of a fault, from the outside."""
    pointer = str(fault.get("pointer") or "")
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    outside = [str(fault[kind]) for kind in ("parameter", "header") if fault.get(kind)]
    return [*parts, *(name.lower().replace("-", "_") for name in outside)]


def _line(fault: JsonObject, options: Mapping[str, str]) -> str:
    """The option, the place in its value, and what is wrong."""
    detail, path = str(fault["detail"]), _path(fault)
    option, depth = next(_places(path, options))
    subject = f"`{path[-1]}`"
    if depth < len(path):
        return f"{option} at /{'/'.join(path[depth:])}: {detail}"
    if detail.startswith(f"{subject}: "):
        return f"{option}: {_in_words(detail.removeprefix(f'{subject}: '), options)}"
    if detail.startswith(f"{subject} "):
        return f"{option} {_in_words(detail.removeprefix(f'{subject} '), options)}"
    return f"{option}: {_in_words(detail, options)}"


def _in_words(text: str, options: Mapping[str, str]) -> str:
    """A text with the options in place of the fields that it names."""

    def replaced(found: re.Match[str]) -> str:
        option = options.get(found[1])
        if option is None:
            return found[0]
        return f"`{option} {found[2]}`" if found[2] else option

    for header, field in _HEADERS.items():
        if (option := options.get(field)) is not None:
            variable = f"TEAMRUN_{option.strip('-').replace('-', '_').upper()}"
            text = text.replace(header, f"with {option} or {variable}")
    return _WORD.sub(replaced, text)
