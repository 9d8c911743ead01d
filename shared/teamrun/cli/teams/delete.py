"""`teamrun teams delete`: delete registered teams."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_deleted
from teamrun.cli.teams.options import RevisionOption
from teamrun.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun teams delete haiku"


def command(
    teams: Annotated[
        list[str], typer.Argument(metavar="TEAM...", envvar="TEAMRUN_TEAM", help="The teams.")
    ],
    revision: RevisionOption = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Delete teams with their versions; runs of them go on. Print the name of each."""
    if revision is not None and len(teams) > 1:
        raise UsageError("--revision is of one team; delete the others in commands of their own.")
    with connect(url, api_key) as client:
        for team in teams:
            client.teams.delete(team, revision=revision)
            print_deleted(team, as_json=json_)
