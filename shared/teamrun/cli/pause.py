"""`teamrun pause`: let no more calls of a run begin."""

from typing import Annotated

import typer

from teamrun.cli.api_client import DEFAULT_URL, ApiClient
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result
from teamrun.runs.service.resources import Run

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun pause "$(teamrun submit analysts "Which region sold most?")"'


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="The run.")],
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Pause a run and print its status: calls in progress complete, and no more calls start."""
    answer = ApiClient(url, api_key=api_key).post("runs", run_id, "pause", body={})
    if json_:
        print_json(answer)
    else:
        result(Run.model_validate_json(answer).status)
