"""`teamrun threads list`: the conversations of a server."""

from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, print_table
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.client.calls import threads
from teamrun.threads.resources import Thread

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun threads list --limit 5"


def command(
    limit: Annotated[
        int,
        typer.Option(
            "--limit", envvar="TEAMRUN_LIMIT", min=1, max=100, help="Maximum number of threads."
        ),
    ] = 20,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """List threads, newest first."""
    call = threads.list_threads(limit=limit).first
    with connect(url, api_key) as client:
        reply = client.reply(call)
    if json_:
        print_json(reply.text)
        return
    rows = [_row(thread) for thread in call.value(reply).data]
    print_table(("id", "status", "runs", "updated", "metadata"), rows)


def _row(thread: Thread) -> tuple[str, ...]:
    updated = thread.updated_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    metadata = " ".join(f"{key}={value}" for key, value in thread.metadata.items())
    return (thread.id, thread.status, str(thread.runs_count), updated, metadata)
