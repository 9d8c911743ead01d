"""Size limits of a definition that a client sent, checked before it is read."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from teamrun.components.definitions.environment import variables
from teamrun.components.reading.problems import Problems, pointer

__all__ = ["is_within", "within_bounds"]

_MAX_DEPTH = 48
_MAX_VALUES = 10_000
_MAX_CHARS = 262_144


def within_bounds(raw: Any, where: str, problems: Problems) -> bool:
    """Whether a value is JSON within the size limits and without `${NAME}`; adds the problems.

    A reference to the environment is refused rather than kept as text: its author expects it to
    be replaced, and only the operator's file may read the environment.
    """
    before = len(problems.found)
    pending: list[tuple[Any, str, int]] = [(raw, where, 0)]
    values = chars = 0
    while pending:
        value, place, depth = pending.pop()
        values += 1
        if isinstance(value, str):
            chars += len(value)
            _refuse_variables(value, place, problems)
        if depth > _MAX_DEPTH or values > _MAX_VALUES or chars > _MAX_CHARS:
            problems.add(where, "too_large", _limits())
            return False
        pending += [(item, pointer(place, key), depth + 1) for key, item in _inside(value)]
        chars += sum(len(str(key)) for key, _ in _inside(value))
    return len(problems.found) == before


def is_within(raw: Any, *, values: int, levels: int) -> bool:
    """Whether JSON has at most `values` values and `levels` levels of nesting."""
    pending: list[tuple[Any, int]] = [(raw, 0)]
    met = 0
    while pending:
        value, depth = pending.pop()
        met += 1
        if met > values or depth > levels:
            return False
        pending += [(item, depth + 1) for _, item in _inside(value)]
    return True


def _inside(value: Any) -> Sequence[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        return [(str(key), item) for key, item in cast("Mapping[Any, Any]", value).items()][::-1]
    if isinstance(value, (list, tuple)):
        return list(enumerate(cast("list[Any]", value)))[::-1]
    return []


def _refuse_variables(text: str, place: str, problems: Problems) -> None:
    for name in sorted(variables(text)):
        problems.add(
            place,
            "environment_not_allowed",
            f"${{{name}}} is expanded in the operator's file only; write the text itself,"
            f" or $${{{name}}} for a literal one.",
        )


def _limits() -> str:
    return (
        f"The definition is too large: at most {_MAX_CHARS} characters, {_MAX_VALUES} values and"
        f" {_MAX_DEPTH} levels are taken."
    )
