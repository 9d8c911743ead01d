"""Short times of webhooks, for processes that a test starts; and their requests as crash points."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from tests.support.crash_points import passing

from teamrun import runtime
from teamrun.json_types import JsonObject
from teamrun.webhooks import schedule
from teamrun.webhooks.parts import WebhookParts, compose_webhooks
from teamrun.webhooks.sender import GuardedSender, Sender, Sent
from teamrun.webhooks.target import Target

__all__ = ["PAUSE", "TRIES", "quicken", "quickened"]

PAUSE = "WEBHOOK_PAUSE_SECONDS"
"""The variable with the pause between two tries; without it, all times are as always."""

TRIES = 4
"""The number of tries with short times."""

_HOLD, _INTERVAL = timedelta(seconds=2), timedelta(seconds=0.2)


class WatchedSender:
    """A sender whose requests are points."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def send(self, event: JsonObject, target: Target) -> Sent:
        passing("before request")
        sent = await self._sender.send(event, target)
        passing("after request")
        return sent

    async def close(self) -> None:
        await self._sender.close()


@contextmanager
def quickened(environ: Mapping[str, str]) -> Generator[None]:
    """The same, for a while."""
    saved = {name: schedule.__dict__[name] for name in ("_DELAYS_S", "TRIES")}
    quicken(environ)
    try:
        yield
    finally:
        schedule.__dict__.update(saved)
        runtime.__dict__["compose_webhooks"] = compose_webhooks


def quicken(environ: Mapping[str, str]) -> None:
    """Make the times of this process short, if the variable is set."""
    if PAUSE not in environ:
        return
    schedule.__dict__["_DELAYS_S"] = (float(environ[PAUSE]),) * (TRIES - 1)
    schedule.__dict__["TRIES"] = TRIES
    runtime.__dict__["compose_webhooks"] = _compose


def _compose(**given: Any) -> WebhookParts:
    sender = WatchedSender(GuardedSender(given["destinations"], clock=given["clock"]))
    given |= {"hold": _HOLD, "interval": _INTERVAL, "sender": sender}
    return compose_webhooks(**given)
