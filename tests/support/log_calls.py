"""The calls of loggers in the code, with their level, action and fields."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LogCall", "log_calls"]

_LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_REF_FIELDS = ("run_id", "tenant")
"""The fields of `RunRef.log_fields`."""


@dataclass(frozen=True, slots=True)
class LogCall:
    """One call of a logger."""

    where: str
    """`path:line`."""
    action: str
    """Empty if `extra` has no literal action."""
    fields: frozenset[str]
    """The names of the other fields, as far as they are literals."""


def log_calls(path: Path, root: Path) -> Iterator[LogCall]:
    """The calls of loggers in the functions of a file."""
    text = path.read_text(encoding="utf-8")
    if "logger" not in text:
        return
    for scope in ast.walk(ast.parse(text)):
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            for call in _calls(scope):
                where = f"{path.relative_to(root).as_posix()}:{call.lineno}"
                yield _read(call, scope, where)


def _calls(scope: ast.AST) -> Iterator[ast.Call]:
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue  # a separate scope
        if isinstance(node, ast.Call) and _is_logger(node.func):
            yield node
        yield from _calls(node)


def _is_logger(func: ast.expr) -> bool:
    match func:
        case ast.Attribute(value=ast.Name(id="logger"), attr=level):
            return level in _LEVELS
        case _:
            return False


def _read(call: ast.Call, scope: ast.AST, where: str) -> LogCall:
    pairs: dict[str, ast.expr] = {}
    for word in call.keywords:
        if word.arg == "extra":
            pairs.update(_pairs(word.value, scope))
    action = pairs.pop("action", None)
    text = action.value if isinstance(action, ast.Constant) else ""
    return LogCall(where=where, action=str(text), fields=frozenset(pairs))


def _pairs(extra: ast.expr, scope: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The literal keys of a dict, of a dict in it, or of a variable of the function."""
    match extra:
        case ast.Name(id=name):
            for value in _assigned(name, scope, before=extra.lineno):
                yield from _pairs(value, scope)
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant):
                    yield str(key.value), value
                else:
                    yield from _pairs(value, scope)
        case ast.Call(func=ast.Attribute(attr="log_fields")):
            yield from ((name, extra) for name in _REF_FIELDS)
        case _:
            pass


def _assigned(name: str, scope: ast.AST, *, before: int) -> list[ast.expr]:
    """The last value that was assigned to a variable above a line."""
    values = [
        (node.lineno, node.value)
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign)
        and node.lineno < before
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    ]
    return [value for _, value in sorted(values, key=lambda pair: pair[0])[-1:]]
