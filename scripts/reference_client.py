"""The reference page of the Python client, from the calls that its methods are bound to."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin

from teamrun.client import errors
from teamrun.client.binding import Group, Method
from teamrun.client.calls.batch_options import BatchOptions, FileOptions
from teamrun.client.calls.run_options import RunOptions
from teamrun.client.problems import CODES, STATUSES
from teamrun.client.requests import Download, Lines, Paged, Polled, Streamed
from teamrun.client.retries import RetryPolicy
from teamrun.client.sync import Client

__all__ = ["client_page"]

_HEAD = """\
# Python client

Generated from the code by `scripts/reference_pages.py`. [How to use the
client](../how-to/python-client.md) has examples.

`Client` and `AsyncClient` have the same methods; those of `AsyncClient` are awaited, and its lists
and streams are read with `async for`. `send(call)` sends a call that a function of
`teamrun.client.calls` has made, and `reply(request)` returns the answer with its status, headers
and body.
"""


_BATCHES = """\
`submit` accepts these by name, except the last three, which only `submit_file` and
`submit_uploaded` accept.
"""


def client_page() -> str:
    """Every method of the client, its options and its errors."""
    parts = [_HEAD]
    client = Client("http://127.0.0.1:8080")
    for name, group in vars(client).items():
        if isinstance(group, Group):
            parts += _group(name, type(group))
    parts += ["## Options of a run\n", "`submit` and `submit_and_wait` accept these by name.\n"]
    parts += [*_rows(("option", "meaning"), _fields(RunOptions)), ""]
    parts += ["## Options of a batch\n", _BATCHES]
    fields = [*_fields(BatchOptions), *_fields(FileOptions)]
    parts += [*_rows(("option", "meaning"), fields), ""]
    parts += ["## Retries\n", f"{_first(RetryPolicy)}\n"]
    parts += [*_rows(("field of `RetryPolicy`", "meaning"), _fields(RetryPolicy)), ""]
    parts += ["## Errors\n", "A code without a class of its own has the class of its status.\n"]
    parts += _rows(("class", "is a", "codes or statuses", "meaning"), _errors())
    return "\n".join(parts) + "\n"


def _group(name: str, group: type[Group]) -> Iterator[str]:
    summary = inspect.cleandoc(group.__doc__ or "").partition(": ")[2]
    yield f"## `client.{name}`\n"
    yield f"{summary[0].upper()}{summary[1:]}\n"
    for method, bound in vars(group).items():
        if isinstance(bound, Method):
            yield from _method(f"client.{name}.{method}", bound.call)


def _method(name: str, call: Callable[..., Any]) -> Iterator[str]:
    signature = inspect.signature(call)
    shown = [_parameter(each) for each in signature.parameters.values()]
    kinds = [each.kind for each in signature.parameters.values()]
    if inspect.Parameter.KEYWORD_ONLY in kinds:
        shown.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    yield f"### `{name}({', '.join(shown)})`\n"
    text, arguments, raises = _sections(inspect.cleandoc(call.__doc__ or ""))
    yield f"{text}\n"
    yield f"Returns {_returned(signature.return_annotation)}.\n"
    if raises:
        yield f"Raises {'; '.join(f'`{kind}`: {why}' for kind, why in raises)}\n"
    if arguments:
        yield from _rows(("argument", "meaning"), ((f"`{key}`", why) for key, why in arguments))
        yield ""


def _parameter(parameter: inspect.Parameter) -> str:
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return f"**{parameter.name}"
    if parameter.default is inspect.Parameter.empty:
        return parameter.name
    return f"{parameter.name}={parameter.default!r}"


def _returned(annotation: Any) -> str:
    if annotation is Download:
        return "the path of the file"
    origin, value = get_origin(annotation), get_args(annotation)[-1]
    if origin is Paged:
        return f"a list of {_named(value)}, read page by page"
    if origin in (Streamed, Lines):
        return f"a stream of {_named(value)}"
    if origin is Polled:
        return f"a stream of {_named(value)}, one for each state"
    return _named(value)


def _named(kind: Any) -> str:
    if kind is type(None):
        return "nothing"
    if get_origin(kind) is dict:
        return "`dict`"
    members = get_args(kind) or (kind,)
    return " or ".join("`None`" if each is type(None) else f"`{each.__name__}`" for each in members)


def _sections(doc: str) -> tuple[str, list[tuple[str, str]], list[tuple[str, str]]]:
    """The text of a docstring in Google's style, its arguments, and what it raises."""
    text, *rest = re.split(r"\n\n(?=Args:|Raises:)", doc)
    found: dict[str, list[tuple[str, str]]] = {"Args": [], "Raises": []}
    for section in rest:
        title, _, body = section.partition(":\n")
        for entry in re.split(r"\n(?=    \S)", body):
            name, _, why = entry.strip().partition(": ")
            found[title].append((name.lstrip("*"), " ".join(why.split())))
    return text, found["Args"], found["Raises"]


def _fields(kind: type[Any]) -> Iterator[tuple[str, str]]:
    """The fields of a class, with the strings under them."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    body = definition.body
    for field, below in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(field, ast.AnnAssign):
            assert isinstance(field.target, ast.Name)
            default = f" = {ast.unparse(field.value)}" if field.value else ""
            text = ""
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                text = " ".join(str(below.value.value).split())
            yield f"`{field.target.id}{default}`", text


def _errors() -> Iterator[tuple[str, str, str, str]]:
    for name in errors.__all__:
        kind = getattr(errors, name)
        meant = [f"`{code}`" for code, each in CODES.items() if each is kind]
        meant += [str(status) for status, each in STATUSES.items() if each is kind]
        parents = ", ".join(f"`{each.__name__}`" for each in kind.__bases__)
        yield f"`{name}`", parents, ", ".join(meant), _first(kind)


def _first(kind: type) -> str:
    return " ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())


def _rows(head: tuple[str, ...], rows: Any) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows
    ]
