"""`teamrun webhooks create`: register a webhook."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, print_row
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.cli.webhooks.options import EventsOption
from teamrun.client.calls import webhooks

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun webhooks create https://example.com/hook --events run.completed,run.failed"


def command(
    to: Annotated[
        str, typer.Argument(metavar="URL", envvar="TEAMRUN_TO", help="Where to send events.")
    ],
    events: EventsOption = "run.*",
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Register a webhook; print its id, a tab and its secret, which is not shown again."""
    call = webhooks.create(to, events=events.split(","))
    with connect(url, api_key) as client:
        reply = client.reply(call)
    if json_:
        print_json(reply.text)
        return
    made = call.value(reply)
    print_row((made.id, made.secret))
