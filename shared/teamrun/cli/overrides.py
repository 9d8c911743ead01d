"""Options that replace settings of a team for one run."""

from typing import Annotated

import typer

from teamrun.json_types import JsonObject

__all__ = ["MaxTurnsOption", "ModelOption", "overrides"]

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", envvar="TEAMRUN_MODEL", help="The model profile of all agents of this run."
    ),
]
MaxTurnsOption = Annotated[
    int | None,
    typer.Option(
        "--max-turns", envvar="TEAMRUN_MAX_TURNS", help="Maximum number of turns of the team."
    ),
]


def overrides(*, model: str | None, max_turns: int | None) -> JsonObject | None:
    """The settings that replace those of the team in a request; None if none is given."""
    given = {"model": model, "max_turns": max_turns}
    changes = {name: value for name, value in given.items() if value is not None}
    return changes or None
