"""`teamrun resume`: let a paused run go on."""

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
    """Let a paused run go on and print its status. Limits that are given replace its own.

    A run that is not paused goes on as it does; its limits are changed, too.
    """
    body = limits(max_cost_usd=max_cost_usd, timeout_seconds=timeout_seconds)
    answer = ApiClient(url, api_key=api_key).post("runs", run_id, "resume", body=body)
    if json_:
        print_json(answer)
    else:
        result(Run.model_validate_json(answer).status)
