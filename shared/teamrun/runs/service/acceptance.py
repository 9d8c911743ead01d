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
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from teamrun.components.catalog import Teams
from teamrun.components.definitions.digest import version_of
from teamrun.components.registry import Resolved
from teamrun.core.clock import Clock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Dispatcher
from teamrun.errors import (
    DefinitionError,
    DeliveryError,
    DestinationRefused,
    IdempotencyConflict,
    ImpossibleTime,
    NotFound,
    RunDeleted,
    Unavailable,
)
from teamrun.json_types import JsonObject
from teamrun.net.destinations import Destinations
from teamrun.runs.log.entries import DELETED, Accepted, End, Entry, LoggedEvent
from teamrun.runs.log.events import accepted_event
from teamrun.runs.log.keys import due_marker, idempotency_key, list_marker, new_run_id, open_marker
from teamrun.runs.log.log import LogObserver, PreCommit, RunLog
from teamrun.runs.log.prefix import prefix_events, write_prefix
from teamrun.runs.log.spec import RunSpec, TeamRef
from teamrun.runs.log.state import RunState
from teamrun.runs.service.requests import Overrides, RunRequest, check_limits, request_digest
from teamrun.storage.base import ObjectStore

__all__ = ["Acceptance", "WebhooksAt"]

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


class Acceptance:
    """Turns requests into runs."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        dispatcher: Dispatcher,
        teams: Teams,
        clock: Clock,
        bound: timedelta = timedelta(seconds=5),
        observers: Sequence[LogObserver] = (),
        pre_commit: Sequence[PreCommit] = (),
        destinations: Destinations | None = None,
        webhooks_at: WebhooksAt | None = None,
    ) -> None:
        self._webhooks_at = webhooks_at or _never
        self._pre_commit = pre_commit
        self._destinations = destinations or Destinations()
        self._bound = bound
        self._store = store
        self._dispatcher = dispatcher
        self._teams = teams
        self._clock = clock
        self._observers = observers

    async def accept(
        self, tenant: str, request: RunRequest, *, key: str | None
    ) -> tuple[RunState, bool]:
        """Accept a run; returns its state, and whether the key had been used for it before.

        Raises:
            DefinitionError: The team is unknown, or its definition is invalid.
            ImpossibleTime: The run could never start.
            DestinationRefused: The URL of the webhook is not allowed; has a `pointer`.
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing was accepted.
        """
        record = _KeyRecord(
            run_id=new_run_id(), request_hash=request_digest(request), at=self._clock.now()
        )
        try:
            _check_times(request, record.at)
            self._check_webhook(request)
            resolved = await self._teams.resolve(
                tenant, team=request.team, team_spec=request.team_spec
            )
            registered = TeamRef(
                name=resolved.name,
                digest=resolved.digest,
                id=None if request.team is None else resolved.name,
                version=version_of(resolved.digest),
            )
            if (changes := request.overrides).model or changes.max_turns:
                resolved = self._teams.overridden(
                    resolved.name,
                    resolved.definition,
                    model=changes.model,
                    max_turns=changes.max_turns,
                )
            check_limits(request.limits, resolved.definition)
        except (DefinitionError, ImpossibleTime, DestinationRefused):
            # A repeated request gets the original response even if the team has changed since, or
            # its deadline has passed.
            accepted = await self._accepted_before(tenant, key, record)
            if accepted is None:
                raise
            return accepted, True

        async def write(ref: RunRef, record: _KeyRecord, place: str | None) -> RunState:
            spec = _spec(ref, request, resolved, registered, record)
            own = {"idempotency": place, "webhooks_at": await self._webhooks_at(tenant)}
            spec = spec.model_copy(update=own)
            return await self._write(ref, Accepted(spec=spec), [])

        return await self._once(tenant, _SCOPE, key, record, write)

    async def accept_child(
        self,
        parent: RunRef,
        spec: RunSpec,
        prefix: list[Entry],
        *,
        scope: str,
        key: str | None,
        request: BaseModel,
    ) -> tuple[RunState, bool]:
        """Accept a run that shares a prefix with its parent; see `accept`.

        Args:
            parent: The run that it is a fork or a retry of.
            spec: The specification of the new run; its id and times are set here.
            prefix: The shared entries.
            scope: The scope of the Idempotency-Key: method and path.
            key: The Idempotency-Key.
            request: The client's request.

        Raises:
            IdempotencyConflict: The key was used with another request.
            Unavailable: Storage does not respond; nothing was accepted.
        """
        record = _KeyRecord(
            run_id=new_run_id(), request_hash=request_digest(request), at=self._clock.now()
        )

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
            }
            log, shared = self._log(ref), None
            if prefix:
                shared = await write_prefix(log, prefix, self._log(parent))
            accepted = Accepted(spec=spec.model_copy(update=own), prefix=shared)
            return await self._write(ref, accepted, prefix_events(prefix))

        return await self._once(parent.tenant, scope, key, record, write)

    def _check_webhook(self, request: RunRequest) -> None:
        if request.webhook is None:
            return
        try:
            self._destinations.check_url(request.webhook.url)
        except DestinationRefused as error:
            raise DestinationRefused(error.message, pointer="/webhook/url") from None

    def overridden(self, spec: RunSpec, changes: Overrides) -> RunSpec:
        """The specification with the overrides applied.

        Raises:
            DefinitionError: The model profile does not exist.
        """
        resolved = self._teams.overridden(
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

    async def _once(
        self,
        tenant: str,
        scope: str,
        key: str | None,
        record: _KeyRecord,
        write: _Write,
    ) -> tuple[RunState, bool]:
        try:
            async with asyncio.timeout(self._bound.total_seconds()):
                state, replayed = await self._begun(tenant, scope, key, record, write)
        except TimeoutError as error:
            raise Unavailable(
                "Storage did not respond in time; repeat the request with the same Idempotency-Key."
            ) from error
        if state.not_before is None and not replayed:
            await self._hint(RunRef(tenant, state.spec.run_id))
        return state, replayed

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
            if replayed and (state := await self._log(ref).state()) is not None:
                return state, True
            if replayed and await self._is_deleted(ref):
                raise _deleted(ref)
            try:
                state = await write(ref, record, place or None)
            except _Voided:
                # It was started long ago and never completed, so the key now names another run.
                place = f"{place}.{ref.run_id}" if place else None
                record = record.model_copy(update={"run_id": new_run_id(), "at": self._clock.now()})
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
        return await self._log(RunRef(tenant, first.run_id)).state()

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
        log = self._log(ref)
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
        first = await self._log(ref).read_next(0)
        return first is not None and isinstance(first.body, End) and first.body.stop_code == DELETED

    async def _hint(self, ref: RunRef) -> None:
        try:
            await self._dispatcher.send([ref])
        except DeliveryError as error:
            logger.warning(
                "A run could not be sent to the queue; the reaper will send it",
                extra={"action": "dispatch.send_failed", **ref.log_fields(), "error": str(error)},
            )

    def _log(self, ref: RunRef) -> RunLog:
        return RunLog(
            self._store,
            ref,
            writer="api",
            clock=self._clock,
            patience=_PATIENCE,
            observers=self._observers,
            pre_commit=self._pre_commit,
        )


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
        tools=resolved.tools,
        agents=resolved.agents,
        input=request.input,
        metadata=request.metadata,
        tags=request.tags,
        limits=request.limits,
        retry=request.retry,
        run_at=_run_at(request, record.at),
        expires_at=_after(record.at, request.expires_in_seconds),
        deadline=request.deadline,
        webhook=request.webhook,
        seed=secrets.token_hex(16),
        created_at=record.at,
        request_hash=record.request_hash,
    )


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
