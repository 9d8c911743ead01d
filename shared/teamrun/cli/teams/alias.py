"""`teamrun teams alias`: point an alias to a version of a team."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.cli.teams.options import RevisionOption, TeamArgument
from teamrun.client.calls import teams

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun teams alias haiku production 2"


def command(
    team: TeamArgument,
    alias: Annotated[str, typer.Argument(envvar="TEAMRUN_ALIAS", help="The alias.")],
    version: Annotated[int, typer.Argument(envvar="TEAMRUN_TEAM_VERSION", help="The version.")],
    revision: RevisionOption = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Create an alias, or move it; runs can name TEAM@ALIAS."""
    with connect(url, api_key) as client:
        print_value(
            client,
            teams.put_alias(team, alias, version, revision=revision),
            lambda found: f"{found.name}@{alias} is {found.name}@{found.aliases[alias]}",
            as_json=json_,
        )
