"""`teamrun teams push`: register a team, or add a version."""

from typing import Annotated

import typer

from teamrun.cli.given import as_read, in_file, named_team
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.cli.teams.options import RevisionOption, TeamArgument
from teamrun.client.calls import teams
from teamrun.client.errors import InvalidDefinitionError, TeamNotFoundError
from teamrun.client.sync import Client
from teamrun.errors import UsageError
from teamrun.json_types import JsonMapping

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun teams push haiku haiku.json --alias production"


def command(
    team: TeamArgument,
    file: Annotated[
        str,
        typer.Argument(
            envvar="TEAMRUN_FILE", help="A .json file with a definition or a component of AutoGen."
        ),
    ],
    comment: Annotated[
        str | None,
        typer.Option("--comment", envvar="TEAMRUN_COMMENT", help="A text about the version."),
    ] = None,
    alias: Annotated[
        str | None,
        typer.Option(
            "--alias", envvar="TEAMRUN_ALIAS", help="Point this alias to the version then."
        ),
    ] = None,
    revision: RevisionOption = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Register a team, or add a version to one, unless its newest version has that definition."""
    definition = named_team(file)
    if isinstance(definition, str):
        raise UsageError(f"{file!r} is not a .json file; export the team as JSON.")
    with connect(url, api_key) as client:
        try:
            version = _pushed(client, team, definition, comment, revision)
        except InvalidDefinitionError as error:
            raise in_file(as_read(error), file) from error
        if alias is not None:
            client.teams.put_alias(team, alias, int(version))
        if json_:
            print_json(client.reply(teams.get_version(team, version)).text)
        else:
            result(f"{team}@{version}")


def _pushed(
    client: Client, team: str, definition: JsonMapping, comment: str | None, revision: int | None
) -> str:
    try:
        added = client.teams.add_version(team, definition, comment=comment, revision=revision)
        return added.version
    except TeamNotFoundError:
        if revision is not None:
            raise
        return client.teams.create(team, definition, comment=comment).version
