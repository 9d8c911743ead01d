"""`teamrun watch`: a run's events as they happen, and its questions to whoever watches."""

import sys
from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.questions import Attendant, at_terminal
from teamrun.cli.screen import print_json
from teamrun.cli.server import DEFAULT_URL, Server
from teamrun.cli.show import EventView
from teamrun.runs.public import Delta, Event

__all__ = ["EXAMPLE", "command", "watch_to_end"]

EXAMPLE = 'teamrun watch "$(teamrun runs --limit 1 --ids)"'

FAILED = frozenset({"run.failed", "run.cancelled", "run.incomplete", "run.expired"})

_message: TypeAdapter[Event | Delta] = TypeAdapter(Event | Delta)


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="The run.")],
    after: Annotated[
        str | None,
        typer.Option(
            "--after", envvar="TEAMRUN_AFTER", help="Begin after this event: its id or number."
        ),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a run's events from its beginning to its end; status 1 where it did not complete.

    What the run asks a person is asked here, and answered.
    """
    watch_to_end(Server(url, api_key=api_key), run_id, after=after, as_json=json_)


def watch_to_end(
    server: Server, run_id: str, *, after: str | None = None, as_json: bool = False
) -> None:
    """Print the events of the run, resuming a stream that is cut; exit with 1 where it failed.

    At a terminal its questions are asked and answered, elsewhere it is told how to answer them.
    """
    view = EventView(Console(highlight=False, soft_wrap=True, emoji=False))
    attendant = Attendant(server, run_id, read_line=None if as_json else at_terminal())
    last = ""
    for message in server.follow(run_id, after=after):
        if as_json:
            print_json(message.data)
        event = _message.validate_json(message.data)
        last = event.type if isinstance(event, Event) else last
        if not as_json:
            view.show(event.type, event.agent, event.data)
        if event.type == "run.input_required":
            attendant.attend(event.data["id"])
    view.end_line()
    if last in FAILED:
        sys.exit(1)
