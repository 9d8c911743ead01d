"""Options that several commands of `teamrun webhooks` share."""

from typing import Annotated

import typer

__all__ = ["EventsOption"]

EventsOption = Annotated[
    str,
    typer.Option(
        "--events",
        envvar="TEAMRUN_EVENTS",
        help="Event types, separated by commas; `run.*` are all of a group.",
    ),
]
