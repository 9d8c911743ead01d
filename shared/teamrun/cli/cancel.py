"""`teamrun cancel`: cancel a run."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.client.calls import signals

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
    call = signals.cancel(run_id, reason=reason, mode="graceful" if graceful else "now")
    with connect(url, api_key) as client:
        print_value(client, call, lambda run: run.status, as_json=json_)
