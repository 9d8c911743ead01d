"""The webhook of a run or a batch as options of several commands."""

from typing import Annotated

import typer

from teamrun.errors import UsageError
from teamrun.json_types import JsonObject

__all__ = ["WebhookEventsOption", "WebhookOption", "webhook"]

WebhookOption = Annotated[
    str | None,
    typer.Option(
        "--webhook", envvar="TEAMRUN_WEBHOOK", help="A URL that is sent the events, signed."
    ),
]
WebhookEventsOption = Annotated[
    str | None,
    typer.Option(
        "--webhook-events",
        envvar="TEAMRUN_WEBHOOK_EVENTS",
        help="Event types, separated by commas; by default the end, and questions of a run.",
    ),
]


def webhook(url: str | None, events: str | None) -> JsonObject | None:
    """The webhook of a request; None if there is none.

    Raises:
        UsageError: There are events and no URL.
    """
    if url is None:
        if events is not None:
            raise UsageError("--webhook-events needs --webhook, the URL that is sent the events.")
        return None
    return {"url": url} if events is None else {"url": url, "events": events.split(",")}
