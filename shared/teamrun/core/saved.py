"""Loading the saved states of several parts: all of them, or none."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from teamrun.errors import UsageError

__all__ = ["Loading", "check_version", "load_all"]


class Loading(NamedTuple):
    """A part of something, and the state that it is to load."""

    save: Callable[[], Awaitable[Mapping[str, Any]]]
    load: Callable[[Mapping[str, Any]], Awaitable[None]]
    state: Mapping[str, Any]


def check_version(state: Mapping[str, Any]) -> None:
    """Refuse the state of a later release, whose members may mean something else.

    Raises:
        UsageError: Its `version` is not 1.something; AutoGen's states are 1.0.0 as well.
    """
    version = str(state.get("version", "1.0.0"))
    if version.partition(".")[0] != "1":
        raise UsageError(
            f"The state has version {version!r}, and this release reads 1.x. Load it with the "
            "release that saved it, or a later one.",
            argument="state",
        )


async def load_all(loadings: Sequence[Loading]) -> None:
    """Load every state; if one of them fails, give all parts back the state they had.

    Raises:
        Exception: What the `load` that failed has raised.
    """
    before = [deepcopy(await each.save()) for each in loadings]
    begun: list[tuple[Loading, Mapping[str, Any]]] = []
    try:
        for each, kept in zip(loadings, before, strict=True):
            begun.append((each, kept))
            await each.load(each.state)
    except BaseException:
        for each, kept in reversed(begun):
            await each.load(kept)
        raise
