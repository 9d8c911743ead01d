"""`teamrun teams delete`: delete registered teams."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_deleted

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun teams delete haiku"


def command(
    teams: Annotated[
        list[str], typer.Argument(metavar="TEAM...", envvar="TEAMRUN_TEAM", help="The teams.")
    ],
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Delete teams with their versions; runs of them go on. Print the name of each."""
    with connect(url, api_key) as client:
        for team in teams:
            client.teams.delete(team)
            print_deleted(team, as_json=json_)
