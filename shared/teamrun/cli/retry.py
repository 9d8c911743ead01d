"""`teamrun retry`: a run that has ended, once more."""

import uuid
from typing import Annotated, Literal

import typer

from teamrun.cli.api_client import DEFAULT_URL, ApiClient
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result
from teamrun.runs.service.resources import Run

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun retry "$(teamrun runs --status completed --limit 1 --ids)"'


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="A run that has ended.")],
    from_: Annotated[
        Literal["start", "here"],
        typer.Option(
            "--from",
            envvar="TEAMRUN_FROM",
            help="`here` repeats only the calls that failed the run.",
        ),
    ] = "start",
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Create a run from the specification of one that has ended, and print its id."""
    answer = ApiClient(url, api_key=api_key).post(
        "runs", run_id, "retry", body={"from": from_}, headers={"Idempotency-Key": uuid.uuid4().hex}
    )
    if json_:
        print_json(answer)
    else:
        result(Run.model_validate_json(answer).id)
