"""`teamrun batch items`: the items of a batch, with their runs."""

from itertools import islice
from typing import Annotated, cast

import typer

from teamrun.batches.resources import BatchItemView, ItemStatus
from teamrun.cli.batch.options import BatchArgument
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, print_table
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.client.calls import batches

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun batch items "$(teamrun batch list --limit 1 --ids)" --status completed'


def command(
    batch_id: BatchArgument,
    status: Annotated[
        str | None,
        typer.Option("--status", envvar="TEAMRUN_STATUS", help="queued, running, completed ..."),
    ] = None,
    custom_id: Annotated[
        str | None,
        typer.Option("--custom-id", envvar="TEAMRUN_CUSTOM_ID", help="Only the item of this name."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", envvar="TEAMRUN_LIMIT", min=1, help="Maximum number of items.")
    ] = 20,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """List items in the order of the input, each with its run; with --json, one per line.

    An item that waits for a person is `running`; `teamrun answer` takes its run.
    """
    # The server knows the statuses and refuses others.
    wanted = cast("ItemStatus | None", status)
    call = batches.items(batch_id, status=wanted, custom_id=custom_id, limit=min(limit, 100))
    with connect(url, api_key) as client:
        found = list(islice(client.send(call), limit))
    if json_:
        for item in found:
            print_json(item.model_dump_json(by_alias=True, warnings=False))
    else:
        head = ("custom_id", "status", "run", "output")
        print_table(head, [_row(item) for item in found])


def _row(item: BatchItemView) -> tuple[str, ...]:
    output = item.result.output if item.result else None
    text = " ".join(output.text.split())[:60] if output else ""
    return (item.custom_id, item.status, item.run_id or "", text)
