"""`teamrun watch`: a run's events as they happen, and its questions."""

import sys
from typing import Annotated

import typer
from pydantic import TypeAdapter

from teamrun.cli.api_client import DEFAULT_URL, ApiClient
from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.questions import ApiPrompter, Attendant
from teamrun.cli.screen import print_json
from teamrun.cli.show import view_on_stdout
from teamrun.cli.terminal import at_terminal
from teamrun.cli.values import header_text
from teamrun.runs.service.resources import Delta, Event, Run

__all__ = ["EXAMPLE", "command", "watch_to_end"]

EXAMPLE = 'teamrun watch "$(teamrun runs --limit 1 --ids)"'

FAILED = frozenset({"run.failed", "run.cancelled", "run.incomplete", "run.expired"})

_message: TypeAdapter[Event | Delta] = TypeAdapter(Event | Delta)


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="The run.")],
    after: Annotated[
        str | None,
        typer.Option(
            "--after",
            envvar="TEAMRUN_AFTER",
            callback=header_text,
            help="Begin after this event: its id or number.",
        ),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a run's events from its beginning to its end; status 1 if it did not complete.

    You can answer the run's questions at the terminal. Without a terminal, and with --json,
    `watch` prints the command that answers and continues to wait.
    """
    watch_to_end(ApiClient(url, api_key=api_key), run_id, after=after, as_json=json_)


def watch_to_end(
    server: ApiClient, run_id: str, *, after: str | None = None, as_json: bool = False
) -> None:
    """Print the events of the run, resuming an interrupted stream; exit with 1 if it failed.

    At a terminal its questions are asked, elsewhere the command that answers is printed.
    """
    view = view_on_stdout()
    prompter = ApiPrompter(server, run_id)
    attendant = Attendant(prompter, read_line=None if as_json else at_terminal())
    last = ""
    for message in server.follow(run_id, after=after):
        event = _message.validate_json(message.data)
        last = event.type if isinstance(event, Event) else last
        if as_json:
            print_json(message.data)
        else:
            view.take(event)
        if event.type == "run.input_required":
            attendant.attend(event.data["id"])
    if not as_json:
        view.summary(Run.model_validate_json(server.get("runs", run_id)))
    if last in FAILED:
        sys.exit(1)
