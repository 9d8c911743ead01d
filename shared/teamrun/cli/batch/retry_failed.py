"""`teamrun batch retry-failed`: run what did not complete once more."""

from typing import Annotated

import typer

from teamrun.cli.batch.following import conclude, watch_batch
from teamrun.cli.batch.options import BatchArgument
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.cli.values import finite
from teamrun.client.building import given
from teamrun.client.calls import batches

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun batch retry-failed "$(teamrun batch list --limit 1 --ids)"'


def command(
    batch_id: BatchArgument,
    max_cost_usd: Annotated[
        str | None,
        typer.Option(
            "--max-cost-usd",
            envvar="TEAMRUN_MAX_COST_USD",
            callback=finite,
            help="New maximum cost of the whole batch, with what it has cost so far.",
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            envvar="TEAMRUN_MAX_TOKENS",
            min=1,
            help="New maximum number of tokens, with those that were used so far.",
        ),
    ] = None,
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
    limits = given(max_cost_usd=max_cost_usd, max_tokens=max_tokens) or None
    call = batches.retry_failed(batch_id, limits=limits)
    with connect(url, api_key) as client:
        batch = print_value(client, call, lambda batch: batch.status, as_json=json_)
        if not watch:
            return
        batch = watch_batch(client, batch.id, as_json=json_)
    conclude(batch)
