"""`teamrun delete`: remove runs that have ended."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_deleted

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun delete "$(teamrun runs --status completed --limit 1 --ids)"'


def command(
    run_ids: Annotated[
        list[str], typer.Argument(metavar="RUN_ID...", envvar="TEAMRUN_RUN_ID", help="The runs.")
    ],
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Delete runs that have ended, with their events, results and files; print the id of each."""
    with connect(url, api_key) as client:
        for run_id in run_ids:
            client.runs.delete(run_id)
            print_deleted(run_id, as_json=json_)
