"""`teamrun teams graph`: the members of a team, and who may follow whom."""

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.cli.teams.options import TeamArgument, parted
from teamrun.client.calls import teams

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun teams graph haiku@1"


def command(
    team: TeamArgument,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Print the agents of a team, and who may follow whom, as a Mermaid flowchart."""
    name, which = parted(team)
    call = teams.graph(name, version=which)
    with connect(url, api_key) as client:
        reply = client.reply(call)
    if json_:
        print_json(reply.text)
    else:
        result(call.value(reply).mermaid.rstrip())
