"""`teamrun cancel`: cancel a run."""

from typing import Annotated

import typer

from teamrun.cli.api_client import DEFAULT_URL, ApiClient
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result
from teamrun.runs.service.resources import Run

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun cancel "$(teamrun submit analysts "Which region sold most?")"'


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="The run.")],
    reason: Annotated[
        str | None,
        typer.Option("--reason", envvar="TEAMRUN_REASON", help="The reason, stored in the run."),
    ] = None,
    graceful: Annotated[
        bool,
        typer.Option(
            "--graceful/--no-graceful",
            envvar="TEAMRUN_GRACEFUL",
            help="Let calls in progress complete first.",
        ),
    ] = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Cancel a run and print its status; one that is being cancelled already stays so."""
    body = {"mode": "graceful" if graceful else "now"}
    if reason is not None:
        body["reason"] = reason
    answer = ApiClient(url, api_key=api_key).post("runs", run_id, "cancel", body=body)
    if json_:
        print_json(answer)
    else:
        result(Run.model_validate_json(answer).status)
