"""`teamrun threads delete`: delete conversations."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_deleted

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun threads delete "$(teamrun threads create)"'


def command(
    threads: Annotated[
        list[str],
        typer.Argument(metavar="THREAD_ID...", envvar="TEAMRUN_THREAD", help="The threads."),
    ],
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Delete threads without an active run; their runs are kept. Print the id of each."""
    with connect(url, api_key) as client:
        for thread in threads:
            client.threads.delete(thread)
            print_deleted(thread, as_json=json_)
