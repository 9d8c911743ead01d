"""`teamrun delete`: remove runs that have ended."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, UrlOption
from teamrun.cli.screen import result
from teamrun.cli.server import DEFAULT_URL, connect

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun delete "$(teamrun runs --status completed --limit 1 --ids)"'


def command(
    run_ids: Annotated[
        list[str], typer.Argument(metavar="RUN_ID...", envvar="TEAMRUN_RUN_ID", help="The runs.")
    ],
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
) -> None:
    """Delete runs that have ended, with their events, results and files; print the id of each."""
    with connect(url, api_key) as client:
        for run_id in run_ids:
            client.runs.delete(run_id)
            result(run_id)
