"""`teamrun fork`: a new run that shares another's past."""

import re
import uuid
from typing import Annotated

import typer

from teamrun.cli.api_client import DEFAULT_URL, ApiClient
from teamrun.cli.limits import MaxCostOption, TimeoutOption, limits
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.overrides import MaxTurnsOption, ModelOption, overrides
from teamrun.cli.screen import print_json, result
from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.runs.service.resources import Run

__all__ = ["EXAMPLE", "command"]

EXAMPLE = (
    'teamrun fork "$(teamrun runs --status completed --limit 1 --ids)" --after 7'
    ' --say "Take April."'
)


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="The run.")],
    after: Annotated[
        str,
        typer.Option(
            "--after",
            envvar="TEAMRUN_AFTER",
            help="The last event that the new run shares: its number, as `teamrun watch` shows it, "
            "or its id.",
        ),
    ],
    say: Annotated[
        str | None,
        typer.Option("--say", envvar="TEAMRUN_SAY", help="A message to the team at that point."),
    ] = None,
    model: ModelOption = None,
    max_turns: MaxTurnsOption = None,
    max_cost_usd: MaxCostOption = None,
    timeout_seconds: TimeoutOption = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Create a run that shares another's log without repeating its calls, and print its id."""
    body: JsonObject = {
        "after_seq": _number(after, run_id),
        **overrides(model=model, max_turns=max_turns),
        **limits(max_cost_usd=max_cost_usd, timeout_seconds=timeout_seconds),
    }
    if say is not None:
        body["input"] = {"content": say}
    answer = ApiClient(url, api_key=api_key).post(
        "runs", run_id, "fork", body=body, headers={"Idempotency-Key": uuid.uuid4().hex}
    )
    if json_:
        print_json(answer)
    else:
        result(Run.model_validate_json(answer).id)


def _number(event: str, run_id: str) -> int:
    digits = event.removeprefix(f"{run_id}-").removeprefix("#")
    if not re.fullmatch("[0-9]{1,18}", digits):
        raise UsageError(
            f"--after {event!r} is neither the number of an event nor the id of one of {run_id}. "
            f"`teamrun watch {run_id}` shows the numbers."
        )
    return int(digits)
