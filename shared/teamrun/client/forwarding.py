"""Follows new runs and batches, and sends their events to a URL of the user."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

import httpx2

from teamrun.batches.resources import BatchEvent
from teamrun.client.aio import AsyncClient
from teamrun.errors import TeamrunError, UsageError
from teamrun.runs.log.webhook import EVENT_TYPES, matches
from teamrun.runs.service.resources import Event
from teamrun.webhooks.request import request_of
from teamrun.webhooks.target import OWN, Target

__all__ = ["Forwarding"]

_EVERY_S = 1.0
"""The pause between two looks."""
_OVERLAP = timedelta(seconds=5)
"""How far a look reaches back: the clock of the server may be behind."""
_TIMEOUT_S = 15.0


class Forwarding:
    """Sends the events of the runs and batches that start from now on.

    Args:
        client: The server.
        to: The URL of the receiver.
        secret: Signs the requests.
        events: The event types to send.
        told: Called with a line for each request.

    Raises:
        UsageError: The URL is not one of HTTP, or no event of a run or batch has such a type.
    """

    def __init__(
        self,
        client: AsyncClient,
        to: str,
        *,
        secret: str,
        events: Sequence[str],
        told: Callable[[str], None],
    ) -> None:
        if not to.startswith(("http://", "https://")):
            raise UsageError(f"--forward {to!r}: use a URL such as http://127.0.0.1:3000/hook.")
        self._types = [name for name in EVENT_TYPES if matches(events, name)]
        self._kinds = [kind for kind in ("run", "batch") if self._has_type_of(kind)]
        if not self._kinds:
            raise UsageError(
                f"--events {','.join(events)!r}: no event of a run or a batch has such a type."
            )
        self._client = client
        self._target = Target(tenant="", id=OWN, url=to, events=events, secrets=[secret])
        self._told = told
        self._http = httpx2.AsyncClient(timeout=_TIMEOUT_S)
        self._since = datetime.now(UTC) - _OVERLAP
        self._before = set[str]()
        self._following: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Look for new runs and batches until cancelled."""
        while True:
            await self._look()
            await asyncio.sleep(_EVERY_S)

    async def __aenter__(self) -> Self:
        """The forwarding itself; what exists already is left out."""
        self._before.update(await self._new())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End what is being followed."""
        tasks = list(self._following.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()

    def _has_type_of(self, kind: str) -> bool:
        return any(name.startswith(f"{kind}.") for name in self._types)

    async def _new(self) -> list[str]:
        """The ids of new runs and batches, newest first."""
        found: list[str] = []
        if "run" in self._kinds:
            runs = self._client.runs.list(created_after=self._since, limit=100)
            found += [run.id async for run in runs]
        if "batch" in self._kinds:
            async for batch in self._client.batches.list(limit=20):
                if batch.created_at < self._since:
                    break
                found.append(batch.id)
        return found

    async def _look(self) -> None:
        for log_id in reversed(await self._new()):
            if log_id not in self._following and log_id not in self._before:
                self._following[log_id] = asyncio.create_task(self._follow(log_id))

    async def _follow(self, log_id: str) -> None:
        is_batch = log_id.startswith("bat_")
        messages: AsyncIterator[object] = (
            self._client.batches.stream(log_id)
            if is_batch
            else self._client.runs.stream(log_id, types=self._types)
        )
        try:
            async for message in messages:
                if isinstance(message, Event | BatchEvent) and message.type in self._types:
                    await self._send(message, log_id)
        except TeamrunError as error:
            self._told(f"{log_id}: {error}")

    async def _send(self, event: Event | BatchEvent, log_id: str) -> None:
        request = request_of(event.model_dump(mode="json"), self._target, at=datetime.now(UTC))
        try:
            answer = await self._http.post(
                self._target.url, content=request.body, headers=request.headers
            )
            outcome = str(answer.status_code)
        except httpx2.RequestError as error:
            outcome = type(error).__name__
        self._told(f"{event.type} {log_id} {outcome}")
