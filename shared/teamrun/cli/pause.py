"""`teamrun pause`: let no more calls of a run begin."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import signals

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun pause "$(teamrun submit analysts "Which region sold most?")"'


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="The run.")],
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Pause a run and print its status: calls in progress complete, and no more calls start."""
    with connect(url, api_key) as client:
        print_value(client, signals.pause(run_id), lambda run: run.status, as_json=json_)
