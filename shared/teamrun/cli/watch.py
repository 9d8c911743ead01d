"""`teamrun watch`: a run's events as they happen, and its questions."""

import sys
from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.questions import ApiPrompter, Attendant
from teamrun.cli.screen import print_json
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.cli.show import view_on_stdout
from teamrun.cli.terminal import at_terminal
from teamrun.cli.values import header_text
from teamrun.client.calls import runs
from teamrun.client.sync import Client
from teamrun.runs.service.resources import Event

__all__ = ["EXAMPLE", "command", "watch_to_end"]

EXAMPLE = 'teamrun watch "$(teamrun runs --limit 1 --ids)"'

FAILED = frozenset({"run.failed", "run.cancelled", "run.incomplete", "run.expired"})


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
    with connect(url, api_key) as client:
        watch_to_end(client, run_id, after=after, as_json=json_)


def watch_to_end(
    client: Client, run_id: str, *, after: str | None = None, as_json: bool = False
) -> None:
    """Print the events of the run, resuming an interrupted stream; exit with 1 if it failed.

    At a terminal its questions are asked, elsewhere the command that answers is printed.
    """
    view = view_on_stdout()
    prompter = ApiPrompter(client, run_id)
    attendant = Attendant(prompter, read_line=None if as_json else at_terminal())
    last = ""
    with client.send(runs.stream_frames(run_id, after=after)) as frames:
        for frame in frames:
            event = runs.read_message(frame)
            last = event.type if isinstance(event, Event) else last
            if as_json:
                print_json(frame.data)
            else:
                view.take(event)
            if event.type == "run.input_required":
                attendant.attend(event.data["id"])
    if not as_json:
        view.summary(client.runs.get(run_id))
    if last in FAILED:
        sys.exit(1)
