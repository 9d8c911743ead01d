"""`teamrun fork`: a new run that shares another's past."""

import re
from typing import Annotated

import typer

from teamrun.cli.limits import MaxCostOption, TimeoutOption, limits
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.overrides import MaxTurnsOption, ModelOption, overrides
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import signals
from teamrun.errors import UsageError

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
    call = signals.fork(
        run_id,
        after_seq=_number(after, run_id),
        input=say,
        overrides=overrides(model=model, max_turns=max_turns),
        limits=limits(max_cost_usd=max_cost_usd, timeout_seconds=timeout_seconds),
    )
    with connect(url, api_key) as client:
        print_value(client, call, lambda run: run.id, as_json=json_)


def _number(event: str, run_id: str) -> int:
    digits = event.removeprefix(f"{run_id}-").removeprefix("#")
    if not re.fullmatch("[0-9]{1,18}", digits):
        raise UsageError(
            f"--after {event!r} is neither the number of an event nor the id of one of {run_id}. "
            f"`teamrun watch {run_id}` shows the numbers."
        )
    return int(digits)
