"""One try of a delivery: the request, and how its outcome is judged."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from teamrun.core.clock import Clock
from teamrun.core.optional import require
from teamrun.core.retry_after import retry_after
from teamrun.errors import DestinationRefused
from teamrun.json_types import JsonObject
from teamrun.net.destinations import Destinations
from teamrun.webhooks.request import request_of
from teamrun.webhooks.resources import Try
from teamrun.webhooks.target import Target

if TYPE_CHECKING:
    from teamrun.net.client import GuardedClient

__all__ = ["GONE", "GuardedSender", "Sender", "Sent"]

logger = logging.getLogger(__name__)

TIMEOUT = timedelta(seconds=15)
"""For the whole of a request: look-up, connection, request and answer."""

MOST_READ = 64 * 1024
"""How much of an answer is read; the status is all that counts."""

GONE = 410
"""The receiver wants no more events."""

_OVERLOADED = (429, 502, 503, 504)


_DETAILS: Mapping[str, str] = {
    "timeout": f"There was no complete answer within {TIMEOUT.total_seconds():.0f} s. Answer first,"
    " then do slow work.",
    "connection_failed": "The host was not found, did not answer or sent no valid HTTP, or its"
    " certificate is invalid.",
    "redirect": "The receiver redirects, which is not followed. Change the webhook to the URL that"
    " it redirects to.",
    "http_status": "The receiver answered with a status that is not 2xx.",
}
"""What the codes of failed tries mean."""


class Sent(NamedTuple):
    """The outcome of a try."""

    made: Try
    after: timedelta | None = None
    """The pause that the receiver asked for."""
    detail: str | None = None
    """What went wrong, and what to do, for a person."""
    is_down: bool = False
    """The host did not answer, or is overloaded: a reason to leave it alone for a while."""


class Sender(Protocol):
    """Makes tries."""

    async def send(self, event: JsonObject, target: Target) -> Sent:
        """Deliver an event once; every failure is an outcome."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class GuardedSender:
    """Implements `Sender` over HTTP, to allowed destinations only.

    Args:
        destinations: Decides which hosts are allowed.
        clock: The clock.
        client: Makes the client at its first use, by default with the resolver of the system.
        timeout: The time for each request.
    """

    def __init__(
        self,
        destinations: Destinations,
        *,
        clock: Clock,
        client: "Callable[[Destinations], GuardedClient] | None" = None,
        timeout: timedelta = TIMEOUT,
    ) -> None:
        self._destinations = destinations
        self._clock = clock
        self._make = client or _client
        self._timeout = timeout
        self._client: GuardedClient | None = None

    async def send(self, event: JsonObject, target: Target) -> Sent:
        """Deliver an event once; every failure is an outcome.

        Raises:
            MissingPackage: A package that webhooks need is not installed.
        """
        if self._client is None:
            self._client = self._make(self._destinations)
        from httpx2 import InvalidURL, RequestError

        at, start = self._clock.now(), asyncio.get_running_loop().time()
        request = request_of(event, target, at=at)
        status, error, after, detail = None, None, None, None
        try:
            answer = await self._client.send(
                "POST",
                target.url,
                within=self._timeout,
                most_bytes=MOST_READ,
                headers=request.headers,
                content=request.body,
            )
        except DestinationRefused as refused:
            error, detail = refused.code, refused.message
        except TimeoutError:
            error = "timeout"
        except (RequestError, InvalidURL) as failure:
            error = "connection_failed"
            logger.info(
                "A webhook receiver did not answer",
                extra={
                    "action": "webhook.unreachable",
                    "tenant": target.tenant,
                    "webhook_id": target.id,
                    "error": type(failure).__name__,
                },
            )
        else:
            status, error = answer.status, _fault(answer.status)
            after = _pause(answer.headers, at) if error else None
        duration = round((asyncio.get_running_loop().time() - start) * 1_000)
        is_down = status in _OVERLOADED or (status is None and error is not None)
        made = Try(type=event["type"], at=at, duration_ms=duration, status=status, error=error)
        return Sent(made, after, detail or _DETAILS.get(error or ""), is_down)

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()


def _pause(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    seconds = retry_after(headers, now=now)
    return None if seconds is None else timedelta(seconds=seconds)


def _fault(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    return "redirect" if 300 <= status < 400 else "http_status"


def _client(destinations: Destinations) -> "GuardedClient":
    require("httpx2", extra="webhooks", needed_by="A webhook")
    from teamrun.net.client import GuardedClient

    return GuardedClient(destinations)
