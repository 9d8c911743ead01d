"""`teamrun webhooks delete`: remove registered webhooks."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_deleted

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun webhooks delete "$(teamrun webhooks list | head -1 | cut -f1)"'


def command(
    webhook_ids: Annotated[
        list[str],
        typer.Argument(metavar="WEBHOOK_ID...", envvar="TEAMRUN_WEBHOOK_ID", help="The webhooks."),
    ],
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Delete webhooks with their secrets; print the id of each."""
    with connect(url, api_key) as client:
        for webhook_id in webhook_ids:
            client.webhooks.delete(webhook_id)
            print_deleted(webhook_id, as_json=json_)
