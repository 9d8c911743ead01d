"""Limits of a run as options of several commands."""

from typing import Annotated

import typer

from teamrun.cli.values import finite
from teamrun.json_types import JsonObject

__all__ = ["MaxCostOption", "TimeoutOption", "limits"]

MaxCostOption = Annotated[
    str | None,
    typer.Option(
        "--max-cost-usd",
        envvar="TEAMRUN_MAX_COST_USD",
        callback=finite,
        help="Maximum cost of the run, if prices are known.",
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout-seconds",
        envvar="TEAMRUN_TIMEOUT_SECONDS",
        callback=finite,
        help="Maximum working time of the run; waiting does not count.",
    ),
]


def limits(*, max_cost_usd: str | None, timeout_seconds: float | None) -> JsonObject | None:
    """The limits of a request; None if none is given."""
    given = {"max_cost_usd": max_cost_usd, "timeout_seconds": timeout_seconds}
    found = {name: value for name, value in given.items() if value is not None}
    return found or None
