"""The operations on runs of the HTTP API and the command line: accept, read, follow, cancel.

Everything here works on the log; `live` and `dispatcher` only make it faster.
"""

import contextlib
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import pydantic

from teamrun.components.catalog import Catalog, Teams
from teamrun.components.registry import Registry
from teamrun.core.clock import Clock, SystemClock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import ArtifactNotFound, NotFound
from teamrun.live.base import Live
from teamrun.net.destinations import Destinations
from teamrun.runs.log.archive import DUTIES, Duty, conclude, write_result
from teamrun.runs.log.blobs import stream_blob
from teamrun.runs.log.entries import ArtifactRecord, CancelMode
from teamrun.runs.log.erasure import Erasure
from teamrun.runs.log.keys import result_key
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.observers import Observers
from teamrun.runs.log.reader import RunReader, not_found, run_ref
from teamrun.runs.log.result import RunResult
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.log.state import RunState
from teamrun.runs.service.acceptance import Acceptance, WebhooksAt
from teamrun.runs.service.filters import RunFilter
from teamrun.runs.service.follow import RunFollower, Start
from teamrun.runs.service.forks import Forks, not_finished
from teamrun.runs.service.listing import Order, RunList
from teamrun.runs.service.news import News
from teamrun.runs.service.public import public_run, read_run
from teamrun.runs.service.requests import Answer, ForkRequest, RetryRequest, RunRequest
from teamrun.runs.service.resources import Delta, Event, EventPage, Run, RunPage
from teamrun.runs.service.signals import SignalResult, Signals
from teamrun.storage.base import ObjectStore

__all__ = ["RunService", "Submitted"]


class Submitted(NamedTuple):
    """An accepted run."""

    run: Run
    replayed: bool
    """The Idempotency-Key had been used for it before."""


class RunService:
    """The runs of all tenants; each method takes a tenant and only accesses its runs.

    All methods raise `RunNotFound` if the tenant has no such run, and `Unavailable` if storage does
    not respond; their descriptions name the other errors.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        live: Live,
        dispatcher: Dispatcher,
        registry: Registry,
        catalog: Catalog | None = None,
        clock: Clock | None = None,
        duties: Sequence[Duty] = DUTIES,
        observers: Observers | None = None,
        destinations: Destinations | None = None,
        webhooks_at: WebhooksAt | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self._duties = duties
        self._store = store
        self._observers = observers or Observers(live)
        self._reader = RunReader(store=store, live=live, clock=clock)
        self._follower = RunFollower(live=live, reader=self._reader, clock=clock)
        self._list = RunList(store=store, reader=self._reader)
        self._signals = Signals(
            store=store,
            reader=self._reader,
            dispatcher=dispatcher,
            clock=clock,
            duties=duties,
            observers=self._observers,
        )
        self.teams: Final = Teams(registry, catalog)
        """The teams that runs can use."""
        self._acceptance = Acceptance(
            store=store,
            dispatcher=dispatcher,
            teams=self.teams,
            clock=clock,
            observers=self._observers.rows,
            pre_commit=self._observers.pre_commit,
            destinations=destinations,
            webhooks_at=webhooks_at,
        )
        self._forks = Forks(self._reader, self._acceptance)
        self._erasure = Erasure(
            store=store,
            live=live,
            reader=self._reader,
            clock=clock,
            pre_erase=self._observers.pre_erase,
        )

    async def submit(
        self, tenant: str, request: RunRequest, *, idempotency_key: str | None = None
    ) -> Submitted:
        """Accept a run; it is durable when this returns.

        Raises:
            DefinitionError: The team is unknown or its definition is invalid; has a `pointer`.
            ImpossibleTime: The run could never start; has a `pointer`.
            DestinationRefused: The URL of the webhook is not allowed; has a `pointer`.
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing was accepted.
        """
        return _submitted(await self._acceptance.accept(tenant, request, key=idempotency_key))

    async def get(self, tenant: str, run_id: str) -> Run:
        """The current state of a run."""
        return await read_run(self._reader, run_ref(tenant, run_id))

    async def wait(
        self, tenant: str, run_id: str, *, timeout: timedelta, revision: int | None = None
    ) -> Run:
        """Wait until the run's revision differs from `revision`, or until the run is at rest.

        A run is at rest if it has ended, waits for input or is paused. Without `revision`, this
        waits for that. At `timeout`, the run is returned as it is then.
        """
        return await self._follower.wait(tenant, run_id, timeout=timeout, revision=revision)

    async def events(
        self,
        tenant: str,
        run_id: str,
        *,
        after: int = 0,
        limit: int = 100,
        types: frozenset[str] | None = None,
    ) -> EventPage:
        """Logged events with a `seq` greater than `after`."""
        return await self._follower.events(tenant, run_id, after=after, limit=limit, types=types)

    def follow(
        self, tenant: str, run_id: str, *, after: int = 0, deltas: bool = True
    ) -> AsyncGenerator[Event | Delta, None]:
        """Yield the events after `after` as they become durable, up to the last, and deltas."""
        return self._follower.follow(tenant, run_id, after=after, deltas=deltas)

    async def start(self, tenant: str, run_id: str, *, after: int = 0) -> Start:
        """The place from which `news` goes on; no event up to `after` follows.

        Raises:
            UnreadableEntry: The log of the run is unreadable.
        """
        return await self._follower.start(tenant, run_id, after=after)

    def news(self, start: Start) -> AsyncGenerator[list[News], None]:
        """The same as `follow`, as each entry becomes durable, serialized once for all clients.

        Raises:
            RunNotFound: The run has been deleted.
            UnreadableEntry: The log of the run is unreadable.
        """
        return self._follower.news(start)

    async def result(self, tenant: str, run_id: str) -> RunResult:
        """The result of an ended run.

        Raises:
            RunNotFinished: The run has not ended.
        """
        ref = run_ref(tenant, run_id)
        state = await self._reader.state(ref)
        if state.end is None:
            raise not_finished(state)
        result = await self._stored_result(ref)
        if result is None:  # missing or damaged: it is derived from the log
            async with self._reader.unless_erased(ref):
                await self._derive(self._reader.log(ref), state)
            result = await self._stored_result(ref)
        if result is None:  # deleted in the meantime
            raise not_found(ref)
        return result

    async def _derive(self, log: RunLog, state: RunState) -> None:
        if state.spec.batch is None:
            await conclude(self._store, log, state, duties=self._duties)
        else:
            await write_result(self._store, log, state)

    async def _stored_result(self, ref: RunRef) -> RunResult | None:
        with contextlib.suppress(NotFound, pydantic.ValidationError):
            result = RunResult.model_validate_json(await self._store.get(result_key(ref)))
            return result if result.run_id == ref.run_id else None
        return None

    async def artifacts(self, tenant: str, run_id: str) -> list[ArtifactRecord]:
        """Every version of every artifact that the run has stored so far."""
        return (await self._reader.state(run_ref(tenant, run_id))).artifacts

    async def artifact(
        self, tenant: str, run_id: str, name: str, *, version: int | None = None
    ) -> tuple[ArtifactRecord, bytes]:
        """One artifact with all of its bytes; by default its newest version.

        Raises:
            ArtifactNotFound: The run has no such artifact.
            DamagedBlob: Its bytes are missing or damaged.
        """
        record = await self.artifact_record(tenant, run_id, name, version=version)
        async with contextlib.aclosing(await self.open_artifact(tenant, run_id, record)) as chunks:
            return record, b"".join([chunk async for chunk in chunks])

    async def open_artifact(
        self, tenant: str, run_id: str, record: ArtifactRecord
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of an artifact in chunks, with flat memory; the first one has been read.

        Raises:
            RunNotFound: The run is being deleted.
            DamagedBlob: The bytes are missing or damaged. Later chunks raise it too: the last one
                is only returned if all bytes are right.
        """
        ref = run_ref(tenant, run_id)
        chunks = stream_blob(self._store, ref, record.sha256, size=record.size)
        async with self._reader.unless_erased(ref):
            first = await anext(chunks, b"")
        return _continued(first, chunks)

    async def artifact_record(
        self, tenant: str, run_id: str, name: str, *, version: int | None = None
    ) -> ArtifactRecord:
        """The record of one artifact; by default of its newest version.

        Raises:
            ArtifactNotFound: The run has no such artifact.
        """
        for record in reversed(await self.artifacts(tenant, run_id)):
            if record.name == name and version in (None, record.version):
                return record
        wanted = name if version is None else f"{name} version {version}"
        raise ArtifactNotFound(f"Run {run_id!r} has no artifact {wanted!r}.", run_id=run_id)

    async def cancel(
        self,
        tenant: str,
        run_id: str,
        *,
        reason: str | None = None,
        mode: CancelMode = "now",
    ) -> Run:
        """Cancel the run; it will end as `cancelled`. Repeating this changes nothing.

        With `graceful`, no more calls start and those in flight complete. A later `now` still
        interrupts them.

        Raises:
            RunEnded: The run has ended with another status.
        """
        return await self._signals.cancel(run_ref(tenant, run_id), reason, mode)

    async def delete(self, tenant: str, run_id: str) -> None:
        """Delete a run that has ended, with its events, result and artifacts.

        Its forks and retries are kept, because they have their own copies. If the deletion is
        interrupted, a worker finishes it.

        Raises:
            RunNotFinished: The run has not ended.
            UnreadableEntry: The log of the run is unreadable.
        """
        await self._erasure.delete(run_ref(tenant, run_id))

    async def answer(
        self, tenant: str, run_id: str, answer: Answer, *, idempotency_key: str | None = None
    ) -> SignalResult:
        """Answer a question that the run waits for.

        Raises:
            RunEnded: The run has ended.
            StaleAction: The question does not exist or is no longer open.
            UnfitAnswer: The answer does not fit the question.
            IdempotencyConflict: The key was used with another answer.
        """
        return await self._signals.answer(run_ref(tenant, run_id), answer, idempotency_key)

    async def pause(self, tenant: str, run_id: str) -> Run:
        """Pause the run: no more calls start. Repeating this changes nothing.

        Raises:
            RunEnded: The run has ended.
        """
        return await self._signals.pause(run_ref(tenant, run_id))

    async def resume(
        self, tenant: str, run_id: str, *, limits: Limits | None = None, anew: bool = False
    ) -> Run:
        """Resume a paused run. Repeating this changes nothing.

        `limits` take effect at once, even if the run is not paused. With `anew`, the run starts
        over without its recorded calls: for a run whose log no longer matches the current code.

        Raises:
            RunEnded: The run has ended.
            NoSuchPoint: `anew` is set, but the run was not paused because it diverged.
        """
        return await self._signals.resume(run_ref(tenant, run_id), limits, anew=anew)

    async def speak(
        self, tenant: str, run_id: str, message: InputMessage, *, idempotency_key: str | None = None
    ) -> SignalResult:
        """Send a message to the team, which reads it before its next turn.

        Raises:
            RunEnded: The run has ended.
            IdempotencyConflict: The key was used with another message.
        """
        return await self._signals.speak(run_ref(tenant, run_id), message, idempotency_key)

    async def fork(
        self, tenant: str, run_id: str, request: ForkRequest, *, idempotency_key: str | None = None
    ) -> Submitted:
        """Accept a run that shares another's history up to an event, without repeating its calls.

        Raises:
            NoSuchPoint: The run has no such event.
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing was accepted.
        """
        ref = run_ref(tenant, run_id)
        return _submitted(await self._forks.fork(ref, request, idempotency_key))

    async def retry(
        self, tenant: str, run_id: str, request: RetryRequest, *, idempotency_key: str | None = None
    ) -> Submitted:
        """Accept a run with the same specification as one that has ended.

        Raises:
            RunNotFinished: The run has not ended.
            NoSuchPoint: `from` is `here`, but the run did not fail because of a call.
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing was accepted.
        """
        ref = run_ref(tenant, run_id)
        return _submitted(await self._forks.retry(ref, request, idempotency_key))

    async def close(self) -> None:
        """Send the notices that are still waiting."""
        await self._observers.notices.close()

    async def list(
        self,
        tenant: str,
        where: RunFilter,
        *,
        limit: int = 20,
        after: str | None = None,
        order: Order = "desc",
    ) -> RunPage:
        """A page of runs, newest first unless `order` is `asc`.

        Raises:
            UsageError: `after` is not a cursor.
        """
        return await self._list.page(tenant, where, limit=limit, after=after, order=order)


def _submitted(accepted: tuple[RunState, bool]) -> Submitted:
    state, replayed = accepted
    return Submitted(public_run(state), replayed)


async def _continued(
    first: bytes, rest: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(rest):
        if first:
            yield first
        async for chunk in rest:
            yield chunk
