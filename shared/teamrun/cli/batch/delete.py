"""`teamrun batch delete`: remove batches that have ended."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, UrlOption
from teamrun.cli.screen import result
from teamrun.cli.server import DEFAULT_URL, connect

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun batch delete "$(teamrun batch list --limit 1 --ids)"'


def command(
    batch_ids: Annotated[
        list[str],
        typer.Argument(metavar="BATCH_ID...", envvar="TEAMRUN_BATCH_ID", help="The batches."),
    ],
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
) -> None:
    """Delete batches that have ended, with their items and results; print the id of each."""
    with connect(url, api_key) as client:
        for batch_id in batch_ids:
            client.batches.delete(batch_id)
            result(batch_id)
