"""What several commands about teams have in common."""

from typing import Annotated

import typer

__all__ = ["TeamArgument", "parted"]

TeamArgument = Annotated[
    str, typer.Argument(envvar="TEAMRUN_TEAM", help="The name or id of a registered team.")
]


def parted(team: str) -> tuple[str, str]:
    """The name and the version of `name@version`; without one, the newest."""
    name, _, version = team.partition("@")
    return name, version or "latest"
