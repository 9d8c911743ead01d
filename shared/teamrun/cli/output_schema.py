"""The option with the schema that the output of a run has to fit."""

from pathlib import Path
from typing import Annotated, cast

import typer

from teamrun.cli.given import json_value
from teamrun.components.reading.file_text import read_text
from teamrun.errors import UsageError
from teamrun.json_types import JsonObject

__all__ = ["OutputSchemaOption", "schema_in"]

OutputSchemaOption = Annotated[
    Path | None,
    typer.Option(
        "--output-schema",
        envvar="TEAMRUN_OUTPUT_SCHEMA",
        help="A .json file with a JSON Schema of an object that the output has to fit.",
    ),
]


def schema_in(path: Path | None) -> JsonObject | None:
    """The schema in a file; None without one.

    Raises:
        UsageError: The file cannot be read or is not a JSON object.
    """
    if path is None:
        return None
    try:
        value = json_value(read_text(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"--output-schema {str(path)!r} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"--output-schema {str(path)!r} is not a JSON object.")
    return cast("JsonObject", value)
