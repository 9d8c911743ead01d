"""What several commands about teams have in common."""

from typing import Annotated

import typer

__all__ = ["TeamArgument", "parted"]

TeamArgument = Annotated[
    str, typer.Argument(envvar="TEAMRUN_TEAM", help="The name or id of a registered team.")
]


def parted(team: str) -> tuple[str, str]:
    """The name and the version of `name@version`; without one, the newest.

    Raises:
        BadParameter: No version follows the `@`.
    """
    name, at, version = team.partition("@")
    if at and not version:
        raise typer.BadParameter(f"{team!r} has no version after the '@'; write {name!r}.")
    return name, version or "latest"
