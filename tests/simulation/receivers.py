"""The receivers of webhooks, and the way to them that a process of a simulated deployment has.

`HttpPort` stands in the place of the HTTP client, so the real sender builds, signs and judges.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Protocol

from httpx2 import ConnectError, Headers, ReadError
from tests.simulation.ports import Host

from teamrun.net.client import Answer

__all__ = ["HttpPort", "Office", "Reception", "draw_reception"]

_REFUSALS = (301, 404, 429, 429, 500, 500, 503)


@dataclass(frozen=True, kw_only=True)
class Reception:
    """How receivers answer while there are faults, and how much time there is for deliveries."""

    accepts: float = 1
    """The part of requests that a receiver accepts."""
    unreachable: float = 0
    """The part of requests that arrive nowhere."""
    unanswered: float = 0
    """The part of requests whose answer is lost: the receiver has accepted them, or not."""
    slow: float = 0
    """The longest time of an answer in seconds."""
    gone: float = 0
    """The part of refusals that are 410."""
    refused: str | None = None
    """A type that receivers never accept, also without faults."""
    is_quick: bool = True
    """Tries follow each other a thousand times faster, so that deliveries are given up."""
    hold: timedelta = timedelta(seconds=40)
    """Longer than a request and the margins of a deliverer."""


def draw_reception(rng: Random) -> Reception:
    """The receivers of one schedule."""
    is_quick = rng.random() < 0.75
    types = ("run.completed", "run.queued", "run.started", "batch.started")
    return Reception(
        accepts=rng.choice((0.2, 0.6, 0.9, 1)),
        unreachable=rng.choice((0, 0, 0.2)),
        unanswered=rng.choice((0, 0, 0.1, 0.4)),
        slow=rng.choice((0.01, 0.5, 4, 8)),
        gone=rng.choice((0, 0, 0.2)),
        refused=rng.choice(types) if is_quick and rng.random() < 0.3 else None,
        is_quick=is_quick,
        hold=timedelta(seconds=40 if is_quick else 60),
    )


class Office(Protocol):
    """Where requests arrive."""

    reception: Reception
    is_calm: bool

    def arrived(self, host: Host, url: str, headers: Mapping[str, str], body: bytes) -> str:
        """Note a request; returns the type of the event."""
        ...

    def answered(self, host: Host, url: str, headers: Mapping[str, str], status: int) -> None:
        """Note how a receiver answers."""
        ...

    def left(self, host: Host, url: str, headers: Mapping[str, str]) -> None:
        """Note that a process waits no longer for an answer."""
        ...


class HttpPort:
    """Has the interface of `GuardedClient`."""

    def __init__(self, host: Host, office: Office) -> None:
        self._host = host
        self._office = office

    async def send(
        self,
        method: str,
        url: str,
        *,
        within: timedelta,
        most_bytes: int,
        headers: Mapping[str, str],
        content: bytes,
    ) -> Answer:
        """Bring a request to its receiver, unless the network or one of the two fails.

        Raises:
            TimeoutError: There was no answer in time.
            ConnectError: The receiver was not reached.
            ReadError: The answer was lost.
        """
        host, office, rng = self._host, self._office, self._host.rng
        reception = office.reception
        await host.point()
        if not office.is_calm and rng.random() < reception.unreachable:
            raise ConnectError("no route to the host")
        event_type = office.arrived(host, url, headers, content)
        try:
            await asyncio.sleep(rng.random() * (0.1 if office.is_calm else reception.slow))
            status = self._status(event_type)
            office.answered(host, url, headers, status)
            if not office.is_calm and rng.random() < reception.unanswered:
                if rng.random() < 0.5:
                    raise ReadError("the connection was closed")
                await asyncio.sleep(within.total_seconds())
                await host.point()
                raise TimeoutError
            await host.point()
        finally:
            office.left(host, url, headers)
        return Answer(status, Headers(self._pause(status)), b"", is_cut=False)

    def _status(self, event_type: str) -> int:
        office, rng = self._office, self._host.rng
        reception = office.reception
        if event_type == reception.refused:
            return 500
        if office.is_calm or rng.random() < reception.accepts:
            return 204
        return 410 if rng.random() < reception.gone else rng.choice(_REFUSALS)

    def _pause(self, status: int) -> dict[str, str]:
        rng = self._host.rng
        if status not in (429, 503) or rng.random() < 0.3:
            return {}
        return {"retry-after": rng.choice(("0", "2", "7", "40", "soon"))}

    async def close(self) -> None:
        """There is nothing to release."""
