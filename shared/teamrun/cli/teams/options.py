"""What several commands about teams have in common."""

from typing import Annotated

import typer

__all__ = ["RevisionOption", "TeamArgument", "parted"]

TeamArgument = Annotated[
    str, typer.Argument(envvar="TEAMRUN_TEAM", help="The name or id of a registered team.")
]

RevisionOption = Annotated[
    int | None,
    typer.Option(
        "--revision",
        envvar="TEAMRUN_TEAM_REVISION",
        help="Change the team only if this is its revision, which `teams show` prints.",
    ),
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
