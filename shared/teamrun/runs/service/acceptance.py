"""Acceptance: a run is durable before the client receives a response.

The order makes it safe: first the record of the Idempotency-Key, then the markers, then entry 0 of
the log. Writing entry 0 is the acceptance. Only then is a message sent to the queue. A repeated
request with the same key goes through the same steps and finds the existing objects. If an
acceptance was interrupted and the reaper has closed its run, the key leads to another record, and
so to another run.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from teamrun.components.catalog import Teams
from teamrun.components.registry import Resolved
from teamrun.core.ids import new_id
from teamrun.core.refs import RunRef, is_run_id
from teamrun.errors import (
    DefinitionError,
    DestinationRefused,
    IdempotencyConflict,
    ImpossibleTime,
    NotFound,
    RunDeleted,
    ThreadBusy,
    ThreadNotFound,
    Unavailable,
)
from teamrun.json_types import JsonObject
from teamrun.net.destinations import Destinations
from teamrun.runs.log.entries import DELETED, Accepted, End, Entry, LoggedEvent
from teamrun.runs.log.events import accepted_event
from teamrun.runs.log.keys import due_marker, idempotency_key, list_marker, open_marker
from teamrun.runs.log.prefix import write_prefix
from teamrun.runs.log.spec import BusyPolicy, RunSpec, TeamRef, ThreadPart
from teamrun.runs.log.state import RunState
from teamrun.runs.log.traces import traceparent_of
from teamrun.runs.service.operations import Operations
from teamrun.runs.service.public import public_run
from teamrun.runs.service.requests import Overrides, RunRequest, check_limits, request_digest
from teamrun.runs.service.resources import Run

__all__ = ["Acceptance", "Submitted", "Threads", "WebhooksAt"]

logger = logging.getLogger(__name__)

_SCOPE = "POST /v1/runs"

_PATIENCE = timedelta(seconds=0.5)
"""How long a request waits for storage that does not respond."""


class _KeyRecord(BaseModel, defer_build=True):
    run_id: str
    request_hash: str
    at: datetime


class _Voided(Exception):
    """The reaper closed the run before its entry 0 was written; no client knows of it."""


_Write = Callable[[RunRef, _KeyRecord, str | None], Awaitable[RunState]]
"""Writes the markers and entry 0 of a run; the last argument is the key of its key record."""


WebhooksAt = Callable[[str], Awaitable[datetime | None]]
"""Returns the newest change of a tenant's registered webhooks."""


class Threads(Protocol):
    """The threads that runs continue."""

    async def check(self, tenant: str, thread_id: str, on_busy: BusyPolicy) -> None:
        """Refuse a run that could not join the thread now.

        Raises:
            ThreadNotFound: There is no such thread.
            ThreadBusy: A run has not ended, and the policy is `reject`.
        """
        ...

    async def join(self, ref: RunRef, part: ThreadPart, *, has_ended: bool = False) -> None:
        """Put an accepted run into its thread, unless it has ended; repeatable.

        Raises:
            ThreadNotFound: The thread was deleted before the run had joined.
            ThreadBusy: A run has not ended, and the policy is `reject`.
        """
        ...


class Submitted(NamedTuple):
    """An accepted run."""

    run: Run
    replayed: bool
    """The Idempotency-Key had been used for it before."""


class Acceptance(Operations):
    """Turns requests into runs.

    Args:
        teams: The teams that runs can use.
        bound: How long a request may take.
        destinations: The URLs that webhooks may have.
        webhooks_at: None for a service without registered webhooks.
        threads: None for a service without threads.
        parts: The arguments of `Operations`.
    """

    def __init__(
        self,
        *,
        teams: Teams,
        bound: timedelta = timedelta(seconds=5),
        destinations: Destinations | None = None,
        webhooks_at: WebhooksAt | None = None,
        threads: Threads | None = None,
        **parts: Any,
    ) -> None:
        super().__init__(**parts)
        self.teams: Final = teams
        """The teams that runs can use."""
        self._bound = bound
        self._destinations = destinations or Destinations()
        self._webhooks_at = webhooks_at or _never
        self._threads = threads

    async def submit(
        self,
        tenant: str,
        request: RunRequest,
        *,
        idempotency_key: str | None = None,
        traceparent: str | None = None,
    ) -> Submitted:
        """Accept a run; it is durable when this returns.

        Args:
            tenant: Of the client.
            request: The run.
            idempotency_key: Makes a repeated request the same run.
            traceparent: The client's span (W3C Trace Context), which contains that of the run; an
                invalid one is ignored.

        Raises:
            DefinitionError: The team is unknown or its definition is invalid; has a `pointer`.
            ImpossibleTime: The run could never start; has a `pointer`.
            DestinationRefused: The URL of the webhook is not allowed; has a `pointer`.
            ThreadNotFound: There is no such thread.
            ThreadBusy: The thread has a run that has not ended, and the request says `reject`.
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing is accepted.
        """
        key = idempotency_key
        record = self._new_record(request_digest(request))
        try:
            _check_times(request, record.at)
            self._check_webhook(request)
            await self._check_thread(tenant, request)
            resolved = await self.teams.resolve(
                tenant,
                team=request.team,
                team_spec=request.team_spec,
                model=request.overrides.model,
            )
            registered = TeamRef(
                name=resolved.name,
                digest=resolved.digest,
                id=None if request.team is None else resolved.id,
                version=resolved.version,
            )
            if (changes := request.overrides).model or changes.max_turns:
                resolved = self.teams.overridden(
                    resolved.name,
                    resolved.definition,
                    model=changes.model,
                    max_turns=changes.max_turns,
                )
            check_limits(request.limits, resolved.definition)
            if request.output_schema is not None:
                # Imported late: few runs have one.
                from teamrun.components.reading.output_schema import check_output_schema

                check_output_schema(request.output_schema)
        except (
            DefinitionError,
            ImpossibleTime,
            DestinationRefused,
            ThreadNotFound,
            ThreadBusy,
        ):
            # A repeated request gets the original response even if the team has changed since, or
            # its deadline has passed.
            accepted = await self._accepted_before(tenant, key, record)
            if accepted is None:
                raise
            return Submitted(public_run(accepted), replayed=True)

        async def write(ref: RunRef, record: _KeyRecord, place: str | None) -> RunState:
            spec = _spec(ref, request, resolved, registered, record)
            own = {
                "idempotency": place,
                "webhooks_at": await self._webhooks_at(tenant),
                "traceparent": traceparent_of(traceparent),
            }
            spec = spec.model_copy(update=own)
            return await self._write(ref, Accepted(spec=spec), [])

        return await self._once(tenant, _SCOPE, key, record, write)

    async def _accept_child(
        self,
        parent: RunRef,
        spec: RunSpec,
        prefix: list[Entry],
        *,
        verb: str,
        key: str | None,
        request: BaseModel,
    ) -> Submitted:
        """Accept a run that shares a prefix with its parent; see `submit`.

        Args:
            parent: The run that it is a fork or a retry of.
            spec: The specification of the new run; its id and times are set here.
            prefix: The shared entries.
            verb: The last part of the path of the request.
            key: The Idempotency-Key.
            request: The client's request.

        Raises:
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing was accepted.
        """
        record = self._new_record(request_digest(request))

        async def write(ref: RunRef, record: _KeyRecord, place: str | None) -> RunState:
            own = {
                "idempotency": place,
                "webhooks_at": await self._webhooks_at(parent.tenant),
                "run_id": ref.run_id,
                "created_at": record.at,
                "expires_at": spec.expires_at and record.at + (spec.expires_at - spec.created_at),
                "deadline": _ahead(spec.deadline, record.at),
                "request_hash": record.request_hash,
                "parent_run_id": parent.run_id,
                "batch": None,
                "traceparent": None,
                "thread": spec.thread and _as_of(spec.thread, parent),
            }
            shared = None
            if prefix:
                logs = self._log(ref, _PATIENCE), self._log(parent, _PATIENCE)
                shared = await write_prefix(logs[0], prefix, logs[1])
            accepted = Accepted(spec=spec.model_copy(update=own), prefix=shared)
            # The events of the prefix come first among the child's.
            events = [event for entry in prefix for event in entry.events]
            return await self._write(ref, accepted, events)

        scope = f"POST /v1/runs/{parent.run_id}/{verb}"
        async with self._reader.unless_erased(parent):
            return await self._once(parent.tenant, scope, key, record, write)

    async def _check_thread(self, tenant: str, request: RunRequest) -> None:
        if request.thread_id is None:
            return
        if self._threads is None or not is_run_id(request.thread_id):
            raise ThreadNotFound(f"There is no thread {request.thread_id!r}.")
        await self._threads.check(tenant, request.thread_id, request.on_busy_thread)

    def _check_webhook(self, request: RunRequest) -> None:
        if request.webhook is None:
            return
        try:
            self._destinations.check_url(request.webhook.url)
        except DestinationRefused as error:
            raise DestinationRefused(error.message, pointer="/webhook/url") from None

    def _overridden(self, spec: RunSpec, changes: Overrides) -> RunSpec:
        """The specification with the overrides applied.

        Raises:
            DefinitionError: The model profile does not exist.
        """
        resolved = self.teams.overridden(
            spec.team.name, spec.definition, model=changes.model, max_turns=changes.max_turns
        )
        own: JsonObject = {
            "team": spec.team.model_copy(update={"digest": resolved.digest}),
            "definition": resolved.definition,
            "models": resolved.models,
        }
        if changes.temperature is not None:
            own["temperature"] = changes.temperature
        return spec.model_copy(update=own)

    def _new_record(self, request_hash: str) -> _KeyRecord:
        return _KeyRecord(run_id=new_id("run"), request_hash=request_hash, at=self._clock.now())

    async def _once(
        self,
        tenant: str,
        scope: str,
        key: str | None,
        record: _KeyRecord,
        write: _Write,
    ) -> Submitted:
        try:
            async with asyncio.timeout(self._bound.total_seconds()):
                state, replayed = await self._begun(tenant, scope, key, record, write)
        except TimeoutError as error:
            raise Unavailable(
                "Storage did not respond in time; repeat the request with the same Idempotency-Key."
            ) from error
        if state.not_before is None and not replayed:
            await self._hint(RunRef(tenant, state.spec.run_id))
        return Submitted(public_run(state), replayed)

    async def _begun(
        self, tenant: str, scope: str, key: str | None, record: _KeyRecord, write: _Write
    ) -> tuple[RunState, bool]:
        place = key and idempotency_key(tenant, scope, key)
        while True:
            replayed = bool(place) and not await self._store.put_new(str(place), to_json(record))
            if replayed:
                try:
                    record = await self._first_use(str(place), record)
                except ValidationError:
                    # The run that it named is lost. All repeated requests find the same new record.
                    logger.warning(
                        "The record of an Idempotency-Key was damaged and has been replaced",
                        extra={"action": "idempotency.record_damaged", "key": place},
                    )
                    place = f"{place}.damaged"
                    continue
            ref = RunRef(tenant, record.run_id)
            if replayed and (state := await self._reader.log(ref).state()) is not None:
                return state, True
            if replayed and await self._is_deleted(ref):
                raise _deleted(ref)
            try:
                state = await write(ref, record, place or None)
            except _Voided:
                # It was started long ago and never completed, so the key now names another run.
                place = f"{place}.{ref.run_id}" if place else None
                record = self._new_record(record.request_hash)
                continue
            if replayed and state.not_before is None:
                await self._hint(ref)
            return state, replayed

    async def _accepted_before(
        self, tenant: str, key: str | None, record: _KeyRecord
    ) -> RunState | None:
        if key is None:
            return None
        try:
            first = await self._first_use(idempotency_key(tenant, _SCOPE, key), record)
        except (NotFound, ValidationError):
            return None
        return await self._reader.log(RunRef(tenant, first.run_id)).state()

    async def _first_use(self, place: str, record: _KeyRecord) -> _KeyRecord:
        first = _KeyRecord.model_validate_json(await self._store.get(place))
        if first.request_hash != record.request_hash:
            raise IdempotencyConflict(
                "The Idempotency-Key was used with another request; use a new key.",
                run_id=first.run_id,
            )
        return first

    async def _write(self, ref: RunRef, accepted: Accepted, events: list[LoggedEvent]) -> RunState:
        spec = accepted.spec
        markers = [list_marker(ref, spec.created_at)]
        times = [spec.run_at, spec.expires_at, spec.deadline]
        markers += [due_marker(ref, time) for time in times if time is not None]
        if spec.run_at is None:
            markers.append(open_marker(ref))
        await asyncio.gather(*(self._store.put_new(marker, b"") for marker in markers))
        log = self._log(ref, _PATIENCE)
        state = RunState.initial(spec, spec.created_at)
        if await log.append(state, accepted, [*events, accepted_event(spec)], epoch=0):
            return state
        state = await log.state()
        if state is None:
            if await self._is_deleted(ref):  # it was accepted, ended and deleted in the meantime
                await self._store.delete_many(markers)
                raise _deleted(ref)
            raise _Voided
        return state

    async def _is_deleted(self, ref: RunRef) -> bool:
        first = await self._reader.log(ref).read_next(0)
        return first is not None and isinstance(first.body, End) and first.body.stop_code == DELETED


async def _never(tenant: str) -> None:
    """For a service without registered webhooks."""


def _deleted(ref: RunRef) -> RunDeleted:
    return RunDeleted(
        f"The Idempotency-Key was used for run {ref.run_id!r}, which has been deleted; use a new "
        "key to run it again.",
        run_id=ref.run_id,
    )


def _spec(
    ref: RunRef, request: RunRequest, resolved: Resolved, team: TeamRef, record: _KeyRecord
) -> RunSpec:
    return RunSpec(
        tenant=ref.tenant,
        run_id=ref.run_id,
        team=team.model_copy(update={"digest": resolved.digest}),
        definition=resolved.definition,
        models=resolved.models,
        temperature=request.overrides.temperature,
        output_schema=request.output_schema,
        tools=resolved.tools,
        agents=resolved.agents,
        functions=resolved.functions,
        input=request.input,
        metadata=request.metadata,
        tags=request.tags,
        limits=request.limits,
        retry=request.retry,
        run_at=_run_at(request, record.at),
        expires_at=_after(record.at, request.expires_in_seconds),
        deadline=request.deadline,
        webhook=request.webhook,
        thread=None
        if request.thread_id is None
        else ThreadPart(thread_id=request.thread_id, on_busy=request.on_busy_thread),
        seed=secrets.token_hex(16),
        created_at=record.at,
        request_hash=record.request_hash,
    )


def _as_of(part: ThreadPart, parent: RunRef) -> ThreadPart:
    """The part of a fork or retry: it shares the beginning, and does not join the thread."""
    return part if part.as_of else part.model_copy(update={"as_of": parent.run_id})


def _check_times(request: RunRequest, now: datetime) -> None:
    """Refuse a run that would end before it starts, instead of accepting it and never running it.

    Raises:
        ImpossibleTime: The deadline or the expiry comes before the beginning.
    """
    begins = _run_at(request, now) or now
    if request.deadline is not None and request.deadline <= begins:
        what = "is in the past" if request.deadline <= now else "is not after the run begins"
        raise ImpossibleTime(
            f"deadline {request.deadline.isoformat()} {what}: give a time after "
            f"{begins.isoformat(timespec='seconds')}.",
            pointer="/deadline",
        )
    expires_at = _after(now, request.expires_in_seconds)
    if expires_at is not None and expires_at < begins:
        raise ImpossibleTime(
            f"The run would expire before it begins: give expires_in_seconds of more than "
            f"{(begins - now).total_seconds():g}, or let the run begin earlier.",
            pointer="/expires_in_seconds",
        )


def _run_at(request: RunRequest, now: datetime) -> datetime | None:
    return _ahead(request.run_at or _after(now, request.delay_seconds), now)


def _ahead(at: datetime | None, now: datetime) -> datetime | None:
    return at if at is not None and at > now else None


def _after(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)
