"""Follows runs and batches, and sends their events to a URL of the user."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self

import httpx2

from teamrun.batches.resources import BatchEvent
from teamrun.client.aio import AsyncClient
from teamrun.errors import TeamrunError, UsageError
from teamrun.runs.log.webhook import EVENT_TYPES, matches
from teamrun.runs.service.resources import Event
from teamrun.webhooks.request import request_of
from teamrun.webhooks.target import OWN, Target

__all__ = ["Forwarded", "Forwarding"]

_EVERY_S = 1.0
"""The pause between two looks for new runs and batches."""
_OVERLAP = timedelta(seconds=5)
"""How far their lists reach back: the clock of the server may be behind."""
_TIMEOUT_S = 15.0

AnyEvent = Event | BatchEvent


class Forwarded(NamedTuple):
    """An event that was sent, or the reason why no more events of something are sent."""

    source_id: str
    """The run or batch."""
    type: str
    outcome: str
    """The status of the answer, or `timeout` or `connection_failed`; of an error, its text."""

    @property
    def is_accepted(self) -> bool:
        """Whether the receiver answered with 2xx."""
        return len(self.outcome) == 3 and self.outcome.startswith("2")


class _Kind(NamedTuple):
    """A kind of resource that has events."""

    prefix: str
    """Of its ids."""
    group: str
    """The beginning of its event types."""
    new: Callable[[AsyncClient, datetime], AsyncIterator[str]]
    """Returns the ids of those that were created since a time."""
    events: Callable[[AsyncClient, str, Sequence[str]], AsyncIterator[AnyEvent]]
    """Returns the events of one, of some types, to its end."""


class Forwarding:
    """Sends the events of runs and batches.

    Args:
        client: The server.
        to: The URL of the receiver.
        secret: Signs the requests.
        events: The event types to send.
        told: Called for each request.
        ids: The runs and batches, from their first event to their end; by default all that start
            from now on.

    Raises:
        UsageError: The URL is not one of HTTP, an id is of another kind, or no event of a run or
            batch has such a type.
    """

    def __init__(
        self,
        client: AsyncClient,
        to: str,
        *,
        secret: str,
        events: Sequence[str],
        told: Callable[[Forwarded], None],
        ids: Sequence[str] = (),
    ) -> None:
        if not to.startswith(("http://", "https://")):
            raise UsageError(f"--forward {to!r}: use a URL such as http://127.0.0.1:3000/hook.")
        self._types = {
            kind: [
                name
                for name in EVENT_TYPES
                if name.startswith(kind.group) and matches(events, name)
            ]
            for kind in _KINDS
        }
        if not any(self._types.values()):
            raise UsageError(
                f"--events {','.join(events)!r}: no event of a run or batch has such a type."
            )
        self._client = client
        self._target = Target(tenant="", id=OWN, url=to, events=events, secrets=[secret])
        self._told = told
        self._chosen = [(_kind_of(each), each) for each in ids]
        self._http = httpx2.AsyncClient(timeout=_TIMEOUT_S)
        self._since = datetime.now(UTC) - _OVERLAP
        self._before = set[str]()
        self._following: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Send events: of the chosen runs and batches to their end, or of new ones for ever.

        Raises:
            TeamrunError: A chosen run or batch does not exist, or the server does not respond.
        """
        for kind, source_id in self._chosen:
            self._begin(kind, source_id)
        if self._chosen:
            await asyncio.gather(*self._following.values())
            return
        while True:
            await self._look()
            await asyncio.sleep(_EVERY_S)

    async def __aenter__(self) -> Self:
        """The forwarding itself; runs and batches that exist already are left out."""
        if not self._chosen:
            self._before.update([each for kind in _KINDS for each in await self._new(kind)])
        return self

    async def __aexit__(self, *_: object) -> None:
        """End what is being followed."""
        tasks = list(self._following.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()

    async def _new(self, kind: _Kind) -> list[str]:
        if not self._types[kind]:
            return []
        return [each async for each in kind.new(self._client, self._since)]

    async def _look(self) -> None:
        for kind in _KINDS:
            for source_id in reversed(await self._new(kind)):
                if source_id not in self._following and source_id not in self._before:
                    self._begin(kind, source_id)

    def _begin(self, kind: _Kind, source_id: str) -> None:
        self._following[source_id] = asyncio.create_task(self._follow(kind, source_id))

    async def _follow(self, kind: _Kind, source_id: str) -> None:
        types = self._types[kind]
        try:
            async for event in kind.events(self._client, source_id, types):
                if event.type in types:
                    await self._send(source_id, event)
        except TeamrunError as error:
            if self._chosen:
                raise
            self._told(Forwarded(source_id, "error", str(error)))

    async def _send(self, source_id: str, event: AnyEvent) -> None:
        request = request_of(event.model_dump(mode="json"), self._target, at=datetime.now(UTC))
        try:
            answer = await self._http.post(
                self._target.url, content=request.body, headers=request.headers
            )
            outcome = str(answer.status_code)
        except httpx2.TimeoutException:
            outcome = "timeout"
        except (httpx2.RequestError, httpx2.InvalidURL):
            outcome = "connection_failed"
        self._told(Forwarded(source_id, event.type, outcome))


def _kind_of(source_id: str) -> _Kind:
    for kind in _KINDS:
        if source_id.startswith(kind.prefix):
            return kind
    raise UsageError(f"{source_id[:80]!r} is neither the id of a run nor that of a batch.")


async def _new_runs(client: AsyncClient, since: datetime) -> AsyncIterator[str]:
    async for run in client.runs.list(created_after=since, limit=100):
        yield run.id


async def _run_events(
    client: AsyncClient, run_id: str, types: Sequence[str]
) -> AsyncIterator[AnyEvent]:
    async for event in client.runs.stream(run_id, types=types):
        if isinstance(event, Event):
            yield event


async def _new_batches(client: AsyncClient, since: datetime) -> AsyncIterator[str]:
    async for batch in client.batches.list(limit=20):
        if batch.created_at < since:
            return
        yield batch.id


async def _batch_events(
    client: AsyncClient, batch_id: str, _types: Sequence[str]
) -> AsyncIterator[AnyEvent]:
    async for event in client.batches.stream(batch_id):
        if isinstance(event, BatchEvent):
            yield event


_KINDS = (
    _Kind("run_", "run.", _new_runs, _run_events),
    _Kind("bat_", "batch.", _new_batches, _batch_events),
)
