"""`teamrun say`: send a message to the team of a run."""

from typing import Annotated

import typer

from teamrun.cli.given import task_text
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import signals

__all__ = ["EXAMPLE", "command"]

EXAMPLE = (
    'teamrun say "$(teamrun submit analysts "Which region sold most?")" "Leave out the returns."'
)


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="The run.")],
    text: Annotated[str, typer.Argument(help="The message; `-` reads it from stdin.")],
    source: Annotated[
        str, typer.Option("--source", envvar="TEAMRUN_SOURCE", help="Name of the sender.")
    ] = "user",
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Send a message that the team receives before its next turn, and print the run's status."""
    call = signals.message(run_id, task_text(text), source=source)
    with connect(url, api_key) as client:
        print_value(client, call, lambda run: run.status, as_json=json_)
