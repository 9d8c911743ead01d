"""`teamrun threads delete`: delete conversations."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.server import DEFAULT_URL, connect, print_deleted
from teamrun.cli.threads.options import RevisionOption
from teamrun.errors import UsageError

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun threads delete "$(teamrun threads create)"'


def command(
    threads: Annotated[
        list[str],
        typer.Argument(metavar="THREAD_ID...", envvar="TEAMRUN_THREAD", help="The threads."),
    ],
    revision: RevisionOption = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Delete threads without an active run; their runs are kept. Print the id of each."""
    if revision is not None and len(threads) > 1:
        raise UsageError("--revision is of one thread; delete the others in commands of their own.")
    with connect(url, api_key) as client:
        for thread in threads:
            client.threads.delete(thread, revision=revision)
            print_deleted(thread, as_json=json_)
