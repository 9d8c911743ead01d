"""Loads the saved states of several parts: either all of them or none."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from typing import NamedTuple

from teamrun.errors import UsageError
from teamrun.json_types import JsonMapping

__all__ = ["Loading", "check_version", "load_all"]


class Loading(NamedTuple):
    """One part, and the state to load into it."""

    save: Callable[[], Awaitable[JsonMapping]]
    load: Callable[[JsonMapping], Awaitable[None]]
    state: JsonMapping


def check_version(state: JsonMapping) -> None:
    """Refuse the state of a later release, whose fields may have another meaning.

    Raises:
        UsageError: It is no object, or the major version is not 1. AutoGen's states also have
            version 1.0.0.
    """
    if not isinstance(state, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - it is read from a file
        raise UsageError(
            f"A state is an object, as `save_state` returns it, not a {type(state).__name__}.",
            argument="state",
        )
    version = str(state.get("version", "1.0.0"))
    if version.partition(".")[0] != "1":
        raise UsageError(
            f"The state has version {version!r}, but this release reads 1.x. Load it with the "
            "release that saved it, or with a later one.",
            argument="state",
        )


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
