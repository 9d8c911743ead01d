"""`teamrun retry`: a run that has ended, once more."""

from typing import Annotated, Literal

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import signals

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
    with connect(url, api_key) as client:
        call = signals.retry(run_id, from_=from_)
        print_value(client, call, lambda run: run.id, as_json=json_)
