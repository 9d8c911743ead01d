"""Loads the saved states of several parts: either all of them or none."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from teamrun.errors import UsageError
from teamrun.json_types import JsonMapping, JsonObject

__all__ = [
    "MOST",
    "Loading",
    "check_version",
    "damaged",
    "load_all",
    "read_all",
    "read_state",
    "saved_value",
]

MOST: Final = 2**53 - 1
"""The largest count in a state: the largest integer that is exact in JSON (RFC 8259, 6)."""

StateT = TypeVar("StateT", bound=BaseModel)
ItemT = TypeVar("ItemT")


class Loading(NamedTuple):
    """One part, and the state to load into it."""

    save: Callable[[], Awaitable[JsonMapping]]
    load: Callable[[JsonMapping], Awaitable[None]]
    state: JsonMapping


def check_version(state: JsonMapping) -> None:
    """Refuse the state of a later release, whose fields may have another meaning.

    Raises:
        ValueError: It is no object.
        UsageError: The major version is not 1. AutoGen's states also have version 1.0.0.
    """
    if not isinstance(state, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - it is read from a file
        raise ValueError(f"A state is an object, as `save_state` returns it, not {_named(state)}.")
    version = str(state.get("version", "1.0.0"))
    if version.partition(".")[0] != "1":
        raise UsageError(
            f"The state has version {version!r}, but this release reads 1.x. Load it with the "
            "release that saved it, or with a later one.",
            argument="state",
        )


def damaged(key: str, why: str) -> ValueError:
    """The error for a state with an invalid value.

    Args:
        key: Where the value is: names and indices, with dots.
        why: What is wrong, such as "must be a text, not null".
    """
    return ValueError(f"The state is damaged: {key!r} {why}. Load it as `save_state` returned it.")


def read_state(kind: type[StateT], state: object, key: str) -> StateT:
    """The state, as an object of that class.

    Args:
        kind: The class.
        state: JSON data.
        key: Where they are in the whole state, for the message.

    Raises:
        ValueError: They are invalid; the message names the key of the first invalid value.
    """
    try:
        return kind.model_validate(state)
    except ValidationError as error:
        raise _invalid(error, key) from None


def read_all(
    items: Sequence[JsonObject], read: Callable[[JsonObject], ItemT], key: str
) -> list[ItemT]:
    """Each item of a list of a state, as `read` returns it.

    Raises:
        ValueError: An item is invalid; the message names its key.
    """
    found: list[ItemT] = []
    for index, item in enumerate(items):
        try:
            found.append(read(item))
        except ValidationError as error:
            raise _invalid(error, f"{key}.{index}") from None
    return found


def _invalid(error: ValidationError, key: str) -> ValueError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join((key, *(str(part) for part in first["loc"])))
    return damaged(where, f"is invalid: {first['msg']}")


def saved_value(
    state: Mapping[str, Any], key: str, kind: type | tuple[type, ...], expected: str
) -> Any:
    """The value of a key of a state.

    Raises:
        ValueError: There is none, or it is of another type; True and False are no numbers.
    """
    if key not in state:
        raise damaged(key, f"is missing; it must be {expected}")
    value = state[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise damaged(key, f"must be {expected}, not {_named(value)}")
    return value


def _named(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}"


async def load_all(loadings: Sequence[Loading]) -> None:
    """Load every state; if one fails, restore the previous states of all parts.

    Raises:
        Exception: The error of the `load` that failed.
    """
    before = [deepcopy(await each.save()) for each in loadings]
    begun: list[tuple[Loading, JsonMapping]] = []
    try:
        for each, kept in zip(loadings, before, strict=True):
            begun.append((each, kept))
            await each.load(each.state)
    except BaseException:
        for each, kept in reversed(begun):
            await each.load(kept)
        raise
