"""`teamrun webhooks listen`: send events to a receiver on this machine."""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, result, talk
from teamrun.cli.server import DEFAULT_URL, connect_async
from teamrun.cli.webhooks.options import EventsOption
from teamrun.client.aio import AsyncClient
from teamrun.client.forwarding import Forwarded, Forwarding

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun webhooks listen --forward http://127.0.0.1:3000/hook"


def command(
    forward: Annotated[
        str, typer.Option("--forward", envvar="TEAMRUN_FORWARD", help="URL of your receiver.")
    ],
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID...", help="Runs and batches; by default all new ones."),
    ] = None,
    events: EventsOption = "run.*,batch.*",
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """Send the events of runs and batches to a URL, signed as webhooks are.

    Those that start from now on are followed until Ctrl-C. Runs and batches that are named are
    followed from their first event to their end. The items of a batch are not runs of their own
    here. The requests come from this machine, so the server need not be allowed to reach the
    receiver. A failed request is not repeated; it is shown as `timeout`, `connection_failed` or
    the status of the answer. With names, the status is 1 if a request was not accepted with 2xx.
    """
    shown = _print_json if json_ else _print
    is_accepted = True

    def told(sent: Forwarded) -> None:
        nonlocal is_accepted
        is_accepted = is_accepted and sent.is_accepted
        shown(sent)

    asyncio.run(_listen(connect_async(url, api_key), forward, ids or [], events.split(","), told))
    if not is_accepted:
        sys.exit(1)


async def _listen(
    connected: AsyncClient,
    forward: str,
    ids: list[str],
    events: list[str],
    told: Callable[[Forwarded], None],
) -> None:
    async with connected as client:
        secret = (await client.webhooks.run_secret()).secret
        async with Forwarding(
            client, forward, secret=secret, events=events, told=told, ids=ids
        ) as sending:
            talk(f"Requests are signed with {secret}")
            if not ids:
                talk(f"Waiting for new runs and batches of {client.base_url}; Ctrl-C ends it.")
            await sending.run()


def _print(sent: Forwarded) -> None:
    result(f"{sent.type} {sent.source_id} {sent.outcome}")


def _print_json(sent: Forwarded) -> None:
    print_json(json.dumps({"type": sent.type, "id": sent.source_id, "outcome": sent.outcome}))
