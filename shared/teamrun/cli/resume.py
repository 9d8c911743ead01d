"""`teamrun resume`: continue a paused run."""

from typing import Annotated

import typer

from teamrun.cli.limits import MaxCostOption, TimeoutOption, limits
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import signals

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun resume "$(teamrun submit analysts "Which region sold most?")"'


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="The run.")],
    max_cost_usd: MaxCostOption = None,
    timeout_seconds: TimeoutOption = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Continue a paused run and print its status. Limits that are given replace those of the run.

    If the run is not paused, only its limits change.
    """
    raised = limits(max_cost_usd=max_cost_usd, timeout_seconds=timeout_seconds)
    with connect(url, api_key) as client:
        call = signals.resume(run_id, limits=raised)
        print_value(client, call, lambda run: run.status, as_json=json_)
