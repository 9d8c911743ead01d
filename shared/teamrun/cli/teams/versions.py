"""`teamrun teams versions`: the versions of a team."""

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, print_table
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.cli.teams.options import TeamArgument
from teamrun.client.calls import teams

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun teams versions haiku"


def command(
    team: TeamArgument,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """List the versions of a team, the newest first."""
    call = teams.versions(team)
    with connect(url, api_key) as client:
        if json_:
            print_json(client.reply(call.first).text)
            return
        rows = [
            (
                each.version,
                "" if each.created_at is None else f"{each.created_at:%Y-%m-%d %H:%M:%S}",
                ", ".join(each.aliases),
                each.digest[:12],
                each.comment,
            )
            for each in client.send(call)
        ]
    print_table(("version", "created", "aliases", "digest", "comment"), rows)
