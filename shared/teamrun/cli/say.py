"""`teamrun say`: send a message to the team of a run."""

from typing import Annotated

import typer

from teamrun.cli.api_client import DEFAULT_URL, ApiClient
from teamrun.cli.given import task_text
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result
from teamrun.runs.service.resources import Run

__all__ = ["EXAMPLE", "command"]

EXAMPLE = (
    'teamrun say "$(teamrun submit analysts "Which region sold most?")" "Leave out the returns."'
)


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="The run.")],
    text: Annotated[str, typer.Argument(help="The message; `-` reads it from stdin.")],
    source: Annotated[
        str, typer.Option("--source", envvar="TEAMRUN_SOURCE", help="Name of the sender.")
    ] = "user",
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Send a message that the team receives before its next turn, and print the run's status."""
    content = task_text(text)
    body = {"content": content, "source": source}
    answer = ApiClient(url, api_key=api_key).post("runs", run_id, "messages", body=body)
    if json_:
        print_json(answer)
    else:
        result(Run.model_validate_json(answer).status)
