"""The operations on runs of the HTTP API and the command line: accept, read, follow, cancel.

Everything here works on the log; `live` and `dispatcher` only make it faster.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import pydantic

from teamrun.components.catalog import Catalog, Teams
from teamrun.components.registry import Registry
from teamrun.core.clock import Clock, SystemClock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import (
    ArtifactNotFound,
    DamagedBlob,
    DeliveryError,
    NotFound,
    RunNotFound,
    UnreadableEntry,
)
from teamrun.json_types import JsonObject
from teamrun.live.base import Live
from teamrun.runs.log.announcer import GROWN, run_topic
from teamrun.runs.log.archive import DUTIES, Duty, RunResult, conclude, events_of
from teamrun.runs.log.entries import ArtifactRecord, CancelMode
from teamrun.runs.log.erasure import Erasure
from teamrun.runs.log.keys import artifact_blob, result_key
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.observers import Observers
from teamrun.runs.log.reader import RunReader
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.log.state import RunState
from teamrun.runs.log.status import TERMINAL
from teamrun.runs.service.acceptance import Acceptance
from teamrun.runs.service.forks import Forks, not_finished
from teamrun.runs.service.listing import Order, RunFilter, RunList
from teamrun.runs.service.requests import Answer, ForkRequest, RetryRequest, RunRequest
from teamrun.runs.service.resources import (
    Delta,
    Event,
    EventPage,
    Run,
    RunPage,
    public_run,
    unreadable_run,
)
from teamrun.runs.service.signals import SignalResult, Signals
from teamrun.storage.base import ObjectStore

__all__ = ["RunService", "Submitted"]

_POLL = 1.0
"""Seconds between reads of a log while a follower receives no notices."""


_AT_REST = frozenset({"input_required", "paused", "unreadable"})


class Submitted(NamedTuple):
    """An accepted run."""

    run: Run
    replayed: bool
    """The Idempotency-Key had been used for it before."""


class RunService:
    """The runs of all tenants; each method takes a tenant and only accesses its runs."""

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
    ) -> None:
        clock = clock or SystemClock()
        self._duties = duties
        self._store = store
        self._live = live
        self._clock = clock
        self._observers = observers or Observers(live)
        self._reader = RunReader(store=store, live=live, clock=clock)
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
        )
        self._forks = Forks(self._reader, self._acceptance)
        self._erasure = Erasure(store=store, live=live, reader=self._reader, clock=clock)

    async def submit(
        self, tenant: str, request: RunRequest, *, idempotency_key: str | None = None
    ) -> Submitted:
        """Accept a run; it is durable when this returns.

        Raises:
            DefinitionError: The team is unknown or its definition is invalid; has a `pointer`.
            ImpossibleTime: The run could never start; has a `pointer`.
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing was accepted.
        """
        return _submitted(await self._acceptance.accept(tenant, request, key=idempotency_key))

    async def get(self, tenant: str, run_id: str) -> Run:
        """The current state of a run.

        Raises:
            RunNotFound: The tenant has no such run.
        """
        return await self._run(_ref(tenant, run_id))

    async def _run(self, ref: RunRef) -> Run:
        [state] = await self._reader.states([ref])
        if state is None:
            raise _not_found(ref.run_id)
        if isinstance(state, UnreadableEntry):
            return await unreadable_run(self._reader.log(ref), state)
        return public_run(state)

    async def wait(
        self, tenant: str, run_id: str, *, timeout: timedelta, revision: int | None = None
    ) -> Run:
        """Wait until the run's revision differs from `revision`, or until the run is at rest.

        A run is at rest if it has ended, waits for input or is paused. Without `revision`, this
        waits for that. At `timeout`, the run is returned as it is then.

        Raises:
            RunNotFound: The tenant has no such run.
        """
        ref = _ref(tenant, run_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout.total_seconds()), self._hearing(ref) as heard:
                while True:
                    run = await self._run(ref)
                    changed = revision is not None and run.revision != revision
                    resting = revision is None and run.status in _AT_REST
                    if changed or resting or run.status in TERMINAL:
                        return run
                    await anext(heard)
        return await self._run(ref)

    async def events(
        self,
        tenant: str,
        run_id: str,
        *,
        after: int = 0,
        limit: int = 100,
        types: frozenset[str] | None = None,
    ) -> EventPage:
        """Logged events with a `seq` greater than `after`.

        Raises:
            RunNotFound: The tenant has no such run.
        """
        ref = _ref(tenant, run_id)
        found: list[JsonObject] = []
        batches = self._reader.documents(ref, after=after)
        async with contextlib.aclosing(batches):
            async for documents in batches:
                events = _events_after(after, ref, documents)
                found += [e for e in events if types is None or e["type"] in types]
                if len(found) > limit:
                    break
        page, more = [Event(**event) for event in found[:limit]], len(found) > limit
        return EventPage(data=page, next_cursor=page[-1].id if more else None, has_more=more)

    async def follow(
        self, tenant: str, run_id: str, *, after: int = 0, deltas: bool = True
    ) -> AsyncGenerator[Event | Delta, None]:
        """Yield the events after `after` as they become durable, up to the last, and deltas.

        Raises:
            RunNotFound: The tenant has no such run.
        """
        ref = _ref(tenant, run_id)
        async with (
            self._hearing(ref) as heard,
            contextlib.aclosing(self._growth(ref, after, heard)) as news,
        ):
            async for item in news:
                if isinstance(item, list):
                    for event in _events_after(after, ref, item):
                        yield Event(**event)
                elif deltas:
                    yield Delta.model_validate_json(item)

    async def _growth(
        self, ref: RunRef, after: int, heard: AsyncIterator[bytes]
    ) -> AsyncGenerator[list[JsonObject] | bytes, None]:
        """The entries with the events after `after`, up to the last, and the deltas in between."""
        log, newest = self._reader.log(ref), JsonObject()
        async with contextlib.aclosing(self._reader.documents(ref, after=after)) as batches:
            async for documents in batches:
                newest = documents[-1]
                yield documents
        while newest["kind"] != "end":
            while (message := await anext(heard)) != GROWN:
                yield message
            if documents := await log.documents_on(newest["n"] + 1):
                newest = documents[-1]
                yield documents

    async def result(self, tenant: str, run_id: str) -> RunResult:
        """The result of an ended run.

        Raises:
            RunNotFound: The tenant has no such run.
            RunNotFinished: The run has not ended.
        """
        ref = _ref(tenant, run_id)
        state = await self._reader.state(ref)
        if state.end is None:
            raise not_finished(state)
        result = await self._stored_result(ref)
        if result is None:  # missing or damaged: it is derived from the log
            async with self._reader.unless_erased(ref):
                await conclude(self._store, self._reader.log(ref), state, duties=self._duties)
            result = await self._stored_result(ref)
        if result is None:  # deleted in the meantime
            raise _not_found(run_id)
        return result

    async def _stored_result(self, ref: RunRef) -> RunResult | None:
        with contextlib.suppress(NotFound, pydantic.ValidationError):
            result = RunResult.model_validate_json(await self._store.get(result_key(ref)))
            return result if result.run_id == ref.run_id else None
        return None

    async def artifacts(self, tenant: str, run_id: str) -> list[ArtifactRecord]:
        """Every version of every artifact that the run has stored so far.

        Raises:
            RunNotFound: The tenant has no such run.
        """
        return (await self._reader.state(_ref(tenant, run_id))).artifacts

    async def artifact(
        self, tenant: str, run_id: str, name: str, *, version: int | None = None
    ) -> tuple[ArtifactRecord, bytes]:
        """One artifact; by default its newest version.

        Raises:
            RunNotFound: The tenant has no such run.
            ArtifactNotFound: The run has no such artifact.
            DamagedBlob: Its bytes are missing or damaged.
        """
        for record in reversed(await self.artifacts(tenant, run_id)):
            if record.name == name and version in (None, record.version):
                log = self._reader.log(_ref(tenant, run_id))
                async with self._reader.unless_erased(log.ref):
                    data = await log.get_blob(record.sha256)
                if len(data) != record.size:
                    key = artifact_blob(log.ref, record.sha256)
                    raise DamagedBlob(f"The object {key!r} has another size.", key=key)
                return record, data
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
            RunNotFound: The tenant has no such run.
            RunEnded: The run has ended with another status.
        """
        return await self._signals.cancel(_ref(tenant, run_id), reason, mode)

    async def delete(self, tenant: str, run_id: str) -> None:
        """Delete a run that has ended, with its events, result and artifacts.

        Its forks and retries are kept, because they have their own copies. If the deletion is
        interrupted, a worker finishes it.

        Raises:
            RunNotFound: The tenant has no such run.
            RunNotFinished: The run has not ended.
            UnreadableEntry: The log of the run is unreadable.
            Unavailable: Storage does not respond.
        """
        await self._erasure.delete(_ref(tenant, run_id))

    async def answer(
        self, tenant: str, run_id: str, answer: Answer, *, idempotency_key: str | None = None
    ) -> SignalResult:
        """Answer a question that the run waits for.

        Raises:
            RunNotFound: The tenant has no such run.
            RunEnded: The run has ended.
            StaleAction: The question does not exist or is no longer open.
            UnfitAnswer: The answer does not fit the question.
            IdempotencyConflict: The key was used with another answer.
        """
        return await self._signals.answer(_ref(tenant, run_id), answer, idempotency_key)

    async def pause(self, tenant: str, run_id: str) -> Run:
        """Pause the run: no more calls start. Repeating this changes nothing.

        Raises:
            RunNotFound: The tenant has no such run.
            RunEnded: The run has ended.
        """
        return await self._signals.pause(_ref(tenant, run_id))

    async def resume(
        self, tenant: str, run_id: str, *, limits: Limits | None = None, anew: bool = False
    ) -> Run:
        """Resume a paused run. Repeating this changes nothing.

        `limits` take effect at once, even if the run is not paused. With `anew`, the run starts
        over without its recorded calls: for a run whose log no longer matches the current code.

        Raises:
            RunNotFound: The tenant has no such run.
            RunEnded: The run has ended.
            NoSuchPoint: `anew` is set, but the run was not paused because it diverged.
        """
        return await self._signals.resume(_ref(tenant, run_id), limits, anew=anew)

    async def speak(
        self, tenant: str, run_id: str, message: InputMessage, *, idempotency_key: str | None = None
    ) -> SignalResult:
        """Send a message to the team, which reads it before its next turn.

        Raises:
            RunNotFound: The tenant has no such run.
            RunEnded: The run has ended.
            IdempotencyConflict: The key was used with another message.
        """
        return await self._signals.speak(_ref(tenant, run_id), message, idempotency_key)

    async def fork(
        self, tenant: str, run_id: str, request: ForkRequest, *, idempotency_key: str | None = None
    ) -> Submitted:
        """Accept a run that shares another's history up to an event, without repeating its calls.

        Raises:
            RunNotFound: The tenant has no such run.
            NoSuchPoint: The run has no such event.
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing was accepted.
        """
        ref = _ref(tenant, run_id)
        return _submitted(await self._forks.fork(ref, request, idempotency_key))

    async def retry(
        self, tenant: str, run_id: str, request: RetryRequest, *, idempotency_key: str | None = None
    ) -> Submitted:
        """Accept a run with the same specification as one that has ended.

        Raises:
            RunNotFound: The tenant has no such run.
            RunNotFinished: The run has not ended.
            NoSuchPoint: `from` is `here`, but the run did not fail because of a call.
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing was accepted.
        """
        ref = _ref(tenant, run_id)
        return _submitted(await self._forks.retry(ref, request, idempotency_key))

    async def close(self) -> None:
        """Send the notices that are still waiting."""
        await self._observers.notices.close()

    @contextlib.asynccontextmanager
    async def _hearing(self, ref: RunRef) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """The live messages of a run, and `GROWN` after each second without one."""
        async with contextlib.AsyncExitStack() as stack:
            messages: AsyncIterator[bytes] | None = None
            with contextlib.suppress(DeliveryError):
                messages = await stack.enter_async_context(self._live.subscribe(run_topic(ref)))
            hearing = _or_poll(messages, self._clock)
            stack.push_async_callback(hearing.aclose)
            yield hearing

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


async def _or_poll(
    messages: AsyncIterator[bytes] | None, clock: Clock
) -> AsyncGenerator[bytes, None]:
    """The messages, and `GROWN` after each second without one, in case a message was lost."""
    upcoming: asyncio.Task[bytes] | None = None
    try:
        while True:
            if messages is None:
                await clock.sleep(_POLL)
                yield GROWN
                continue
            upcoming = upcoming or asyncio.ensure_future(anext(messages))
            done, _ = await asyncio.wait([upcoming], timeout=_POLL)
            if not done:
                yield GROWN
                continue
            finished, upcoming = upcoming, None
            try:
                yield finished.result()
            except (StopAsyncIteration, DeliveryError):
                messages = None
    finally:
        if upcoming is not None:
            upcoming.cancel()


def _events_after(after: int, ref: RunRef, documents: Sequence[JsonObject]) -> Iterator[JsonObject]:
    return (event for event in events_of(ref, documents) if event["seq"] > after)


def _submitted(accepted: tuple[RunState, bool]) -> Submitted:
    state, replayed = accepted
    return Submitted(public_run(state), replayed)


def _ref(tenant: str, run_id: str) -> RunRef:
    if "." in run_id or "/" in run_id or not run_id:
        raise _not_found(run_id)
    return RunRef(tenant, run_id)


def _not_found(run_id: str) -> RunNotFound:
    return RunNotFound(f"Run {run_id!r} does not exist.", run_id=run_id)
