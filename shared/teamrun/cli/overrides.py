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
        "--max-turns", envvar="TEAMRUN_MAX_TURNS", help="The team stops after so many turns."
    ),
]


def overrides(*, model: str | None, max_turns: int | None) -> JsonObject:
    """The part of a body that says what is another way than the team has it."""
    given = {"model": model, "max_turns": max_turns}
    changes = {name: value for name, value in given.items() if value is not None}
    return {"overrides": changes} if changes else {}
