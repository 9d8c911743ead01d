"""`teamrun batch cancel`: cancel a batch."""

from typing import Annotated

import typer

from teamrun.cli.batch.options import BatchArgument
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import batches

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun batch cancel "$(teamrun batch submit tasks.jsonl --team analysts --no-watch)"'


def command(
    batch_id: BatchArgument,
    reason: Annotated[
        str | None,
        typer.Option("--reason", envvar="TEAMRUN_REASON", help="The reason, stored in the batch."),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Cancel a batch and print its status; items in flight are cancelled, and no more start."""
    call = batches.cancel(batch_id, reason=reason)
    with connect(url, api_key) as client:
        print_value(client, call, lambda batch: batch.status, as_json=json_)
