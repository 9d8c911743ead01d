"""`teamrun webhooks trigger`: send a test event to a registered webhook."""

import sys
from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import webhooks
from teamrun.webhooks.resources import Tested

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun webhooks trigger "$(teamrun webhooks list | head -1 | cut -f1)"'


def command(
    webhook_id: Annotated[str, typer.Argument(envvar="TEAMRUN_WEBHOOK_ID", help="The webhook.")],
    event: Annotated[
        str, typer.Option("--event", envvar="TEAMRUN_EVENT", help="The type of the event.")
    ] = "webhook.tested",
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Send one signed event now and print the outcome; status 1 if it was not accepted."""
    call = webhooks.test(webhook_id, event_type=event)
    with connect(url, api_key) as client:
        tested = print_value(client, call, _shown, as_json=json_)
    if not tested.is_accepted:
        sys.exit(1)


def _shown(tested: Tested) -> str:
    made = tested.request
    status = "no answer" if made.status is None else str(made.status)
    line = f"{made.type}: {status} after {made.duration_ms} ms ({made.error or 'accepted'})"
    return line if tested.detail is None else f"{line}\n{tested.detail}"
