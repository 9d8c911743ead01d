"""Options that several commands of `teamrun batch` share."""

from typing import Annotated

import typer

__all__ = ["BatchArgument", "ForceOption", "LinesOption", "OutputOption"]

BatchArgument = Annotated[str, typer.Argument(envvar="TEAMRUN_BATCH_ID", help="The batch.")]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        envvar="TEAMRUN_OUTPUT",
        help="The file to write; one that ends in .csv is a table.",
    ),
]
LinesOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        envvar="TEAMRUN_OUTPUT",
        help="The file to write; it has JSON lines, whatever its name.",
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option("--force/--no-force", envvar="TEAMRUN_FORCE", help="Replace an existing file."),
]
