"""`teamrun teams show`: a team, or one of its versions."""

import json

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.cli.teams.options import TeamArgument, parted
from teamrun.client.calls import teams

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun teams show haiku@1"


def command(
    team: TeamArgument,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a version of a team with its definition; TEAM may end in @VERSION or @ALIAS."""
    name, which = parted(team)
    call = teams.get_version(name, which)
    with connect(url, api_key) as client:
        reply = client.reply(call)
        if json_:
            print_json(reply.text)
            return
        summary = client.teams.get(name)
    version = call.value(reply)
    revision = "" if summary.revision is None else f"  revision {summary.revision}"
    result(f"{summary.name}@{version.version}  {summary.id}  {version.digest}{revision}")
    for text in (summary.description, version.comment, ", ".join(version.aliases)):
        if text:
            result(text)
    print_json(json.dumps(version.definition, indent=2, ensure_ascii=False))
