"""`teamrun resume`: continue a paused run."""

from typing import Annotated

import typer

from teamrun.cli.api_client import DEFAULT_URL, ApiClient
from teamrun.cli.limits import MaxCostOption, TimeoutOption, limits
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result
from teamrun.runs.service.resources import Run

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
    body = limits(max_cost_usd=max_cost_usd, timeout_seconds=timeout_seconds)
    answer = ApiClient(url, api_key=api_key).post("runs", run_id, "resume", body=body)
    if json_:
        print_json(answer)
    else:
        result(Run.model_validate_json(answer).status)
