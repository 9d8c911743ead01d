"""`teamrun teams list`: the teams of a server."""

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, print_table
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.client.calls import teams

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun teams list"


def command(
    url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None, json_: JsonOption = False
) -> None:
    """List the teams that a run can name."""
    call = teams.list_teams()
    with connect(url, api_key) as client:
        if json_:
            print_json(client.reply(call.first).text)
            return
        rows = [
            (
                team.name,
                team.type,
                ", ".join(team.agents),
                ", ".join(use.answerer for use in team.models),
                team.description or "",
            )
            for team in client.send(call)
        ]
    print_table(("name", "type", "agents", "models", "description"), rows)
