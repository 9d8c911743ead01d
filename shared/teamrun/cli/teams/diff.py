"""`teamrun teams diff`: what differs between two versions of a team."""

import json
from typing import Annotated

import typer

from teamrun.catalog.resources import Change
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.cli.teams.options import TeamArgument
from teamrun.client.calls import teams

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun teams diff haiku 1 2"


def command(
    team: TeamArgument,
    before: Annotated[
        str, typer.Argument(envvar="TEAMRUN_FROM", help="A number, an alias or latest.")
    ],
    after: Annotated[
        str, typer.Argument(envvar="TEAMRUN_TO", help="The other version.")
    ] = "latest",
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Print what was added (+), removed (-) and changed (~) from one version to another."""
    call = teams.diff(team, before, after)
    with connect(url, api_key) as client:
        reply = client.reply(call)
    if json_:
        print_json(reply.text)
        return
    for change in call.value(reply).changes:
        result(_line(change))


def _line(change: Change) -> str:
    before, after = (
        json.dumps(value, ensure_ascii=False) for value in (change.before, change.after)
    )
    if change.kind == "added":
        return f"+ {change.pointer} {after}"
    if change.kind == "removed":
        return f"- {change.pointer} {before}"
    return f"~ {change.pointer} {before} -> {after}"
