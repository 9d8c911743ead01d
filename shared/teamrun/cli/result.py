"""`teamrun result`: the result of an ended run."""

import sys
from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result, talk
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.client.calls import runs

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun result "$(teamrun runs --status completed --limit 1 --ids)"'


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="A run that has ended.")],
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Print the output of an ended run. The status is 1 if the run did not complete."""
    call = runs.result(run_id)
    with connect(url, api_key) as client:
        reply = client.reply(call)
    found = call.value(reply)
    if json_:
        print_json(reply.text)
    elif found.output is not None:
        result(found.output.text)
    if found.status != "completed":
        reason = found.stop_reason or found.stop_code or "no reason"
        talk(f"The status of the run is {found.status}: {reason}")
        sys.exit(1)
