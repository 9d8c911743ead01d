"""`teamrun threads create`: begin a conversation."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_value
from teamrun.cli.submit import pair
from teamrun.client.calls import threads

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun threads create"


def command(
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", "-m", envvar="TEAMRUN_METADATA", help="KEY=VALUE, repeatable."),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Create a thread and print its id, for `teamrun submit --thread`."""
    pairs = dict(pair(text) for text in metadata or []) or None
    with connect(url, api_key) as client:
        call = threads.create_thread(metadata=pairs)
        print_value(client, call, lambda thread: thread.id, as_json=json_)
