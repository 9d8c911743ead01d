"""`teamrun batch retry-failed`: run what did not complete once more."""

from typing import Annotated

import typer

from teamrun.cli.batch.following import conclude, watch_batch
from teamrun.cli.batch.options import BatchArgument
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import batches

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun batch retry-failed "$(teamrun batch list --limit 1 --ids)"'


def command(
    batch_id: BatchArgument,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch/--no-watch",
            "-w",
            envvar="TEAMRUN_WATCH",
            help="Show the progress to the end; status 1 if an item did not complete.",
        ),
    ] = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Run every item again that has not completed, after the end of the batch; print its status."""
    call = batches.retry_failed(batch_id)
    with connect(url, api_key) as client:
        batch = print_value(client, call, lambda batch: batch.status, as_json=json_)
        if not watch:
            return
        batch = watch_batch(client, batch.id, as_json=json_)
    conclude(batch)
