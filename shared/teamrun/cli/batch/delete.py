"""`teamrun batch delete`: remove batches that have ended."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_deleted

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun batch delete "$(teamrun batch list --limit 1 --ids)"'


def command(
    batch_ids: Annotated[
        list[str],
        typer.Argument(metavar="BATCH_ID...", envvar="TEAMRUN_BATCH_ID", help="The batches."),
    ],
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Delete batches that have ended, with their items and results; print the id of each."""
    with connect(url, api_key) as client:
        for batch_id in batch_ids:
            client.batches.delete(batch_id)
            print_deleted(batch_id, as_json=json_)
