"""`teamrun batch list`: the submitted batches."""

from typing import Annotated

import typer

from teamrun.batches.resources import Batch
from teamrun.cli.batch.progress import summary
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, print_table, result
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.client.calls import batches

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun batch list --limit 5"


def command(
    limit: Annotated[
        int,
        typer.Option(
            "--limit", envvar="TEAMRUN_LIMIT", min=1, max=100, help="Maximum number of batches."
        ),
    ] = 20,
    ids: Annotated[
        bool, typer.Option("--ids/--no-ids", envvar="TEAMRUN_IDS", help="Print only ids.")
    ] = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """List batches, newest first."""
    call = batches.list_batches(limit=limit).first
    with connect(url, api_key) as client:
        reply = client.reply(call)
    found = call.value(reply).data
    if json_:
        print_json(reply.text)
    elif ids:
        for batch in found:
            result(batch.id)
    else:
        print_table(("id", "status", "team", "items"), [_row(batch) for batch in found])


def _row(batch: Batch) -> tuple[str, ...]:
    return (batch.id, batch.status, batch.team.name, summary(batch))
