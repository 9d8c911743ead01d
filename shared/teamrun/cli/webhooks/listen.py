"""`teamrun webhooks listen`: send the events of new runs and batches to a local receiver."""

import asyncio
from typing import Annotated

import typer

from teamrun.cli.options import ApiKeyOption, UrlOption
from teamrun.cli.screen import result, talk
from teamrun.cli.server import DEFAULT_URL, connect_async
from teamrun.cli.webhooks.options import EventsOption
from teamrun.client.forwarding import Forwarding

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun webhooks listen --forward http://127.0.0.1:3000/hook"


def command(
    forward: Annotated[
        str, typer.Option("--forward", envvar="TEAMRUN_FORWARD", help="URL of your receiver.")
    ],
    events: EventsOption = "run.*",
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
) -> None:
    """Send the events of runs and batches that start from now on to a URL, signed as webhooks are.

    The requests come from this machine, so the server need not be allowed to reach the receiver.
    A failed request is not repeated. Ctrl-C ends it.
    """
    asyncio.run(_listen(forward, events.split(","), url, api_key))


async def _listen(forward: str, events: list[str], url: str, api_key: str | None) -> None:
    async with connect_async(url, api_key) as client:
        secret = (await client.webhooks.run_secret()).secret
        async with Forwarding(
            client, forward, secret=secret, events=events, told=result
        ) as sending:
            talk(f"Requests are signed with {secret}")
            talk(f"Waiting for new runs and batches of {client.base_url}; Ctrl-C ends it.")
            await sending.run()
