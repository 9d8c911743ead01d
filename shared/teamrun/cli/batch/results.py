"""`teamrun batch results`: the results of a batch."""

from typing import Annotated

import typer

from teamrun.cli.batch.following import save
from teamrun.cli.batch.options import BatchArgument, ForceOption, OutputOption
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.client.calls import batches

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun batch results "$(teamrun batch list --limit 1 --ids)"'


def command(
    batch_id: BatchArgument,
    output: OutputOption = None,
    csv: Annotated[
        bool | None,
        typer.Option(
            "--csv/--no-csv",
            envvar="TEAMRUN_CSV",
            help="A table instead of JSON lines; by default, by the name of the file.",
        ),
    ] = None,
    escape_formulas: Annotated[
        bool,
        typer.Option(
            "--escape-formulas/--no-escape-formulas",
            envvar="TEAMRUN_ESCAPE_FORMULAS",
            help="In a table, an apostrophe before texts that a spreadsheet would execute.",
        ),
    ] = True,
    force: ForceOption = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Write the results in the order of the input, to stdout or into a file.

    Before the end of the batch these are the results so far. A download that breaks continues.
    """
    form = None if csv is None else ("csv" if csv else "jsonl")
    with connect(url, api_key) as client:
        call = batches.download_results(
            batch_id, output or "-", format=form, escape_formulas=escape_formulas
        )
        save(client, call, output, force=force, is_quiet=json_)
