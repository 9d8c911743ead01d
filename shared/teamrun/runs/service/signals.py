"""Signals to a run: cancel, answer, pause, resume, and messages to its team.

Each signal is an entry of the log and competes with the run's owner for the next number. If it
loses the race, the log is folded again and the decision is made again. A signal is acknowledged
only once it is in the log.
"""

import contextlib
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from pydantic import BaseModel

from teamrun.components.building.answers import check_data
from teamrun.core.refs import RunRef
from teamrun.errors import (
    IdempotencyConflict,
    NoSuchPoint,
    RunEnded,
    StaleAction,
    StorageError,
    UnfitAnswer,
)
from teamrun.messages.recordable import encodable
from teamrun.runs.log.archive import conclude
from teamrun.runs.log.entries import Body, CancelMode, Decision, LoggedEvent, Signal
from teamrun.runs.log.events import cancelled, ending, paused_event, received_event, resumed_event
from teamrun.runs.log.keys import open_marker
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.reader import run_ref
from teamrun.runs.log.spec import InputMessage
from teamrun.runs.log.state import RunState
from teamrun.runs.log.status import RequiredAction
from teamrun.runs.service.operations import Operations
from teamrun.runs.service.public import public_run
from teamrun.runs.service.requests import Answer, check_limits, request_digest
from teamrun.runs.service.resources import Run

__all__ = ["SignalResult", "Signals"]

_PATIENCE = timedelta(seconds=2)

_DECISIONS: dict[str, tuple[Decision, ...]] = {
    "input": ("answer",),
    "approval": ("approve", "reject"),
}
"""For questions from older releases, which did not record the allowed decisions."""

_NOUNS = {"input": "question", "approval": "approval"}


class SignalResult(NamedTuple):
    """The result of a signal."""

    run: Run
    replayed: bool
    """The Idempotency-Key had been used for it before; the log has the signal once."""


class _Change:
    """The signal to append for a state, or None if there is nothing to append."""

    def __init__(self, signal: Signal | None, *events: LoggedEvent, wakes: bool = False) -> None:
        self.signal = signal
        self.events = list(events)
        self.wakes = wakes
        """Whether the signal gives a waiting run something to do."""


class Signals(Operations):
    """Appends signals to logs, and wakes the workers concerned."""

    async def cancel(
        self, tenant: str, run_id: str, *, reason: str | None = None, mode: CancelMode = "now"
    ) -> Run:
        """Cancel the run; it will end as `cancelled`. Repeating this changes nothing.

        With `graceful`, no more calls start and those in flight complete. A later `now` still
        interrupts them.

        Raises:
            RunEnded: The run has ended with another status.
        """
        ref = run_ref(tenant, run_id)
        log = self._log(ref, _PATIENCE)
        while True:
            state = await self._reader.state(ref)
            if state.end is not None and state.end.status != "cancelled":
                raise _ended(state)
            if state.end is None and state.cancel is not None:
                await self._store.put_new(open_marker(ref), b"")
                self._remind(ref, state)
            if state.end is not None or not _is_stronger(mode, state.cancel):
                return public_run(state)
            if state.cancel is not None:
                reason = reason or state.cancel.reason
            asked = Signal(signal="cancel", reason=reason and encodable(reason), mode=mode)
            body: Body = asked
            events: list[LoggedEvent] = []
            # A waiting run has no marker, the marker of a claimed run may be lost, and the marker
            # may be needed after the end.
            await self._store.put_new(open_marker(ref), b"")
            if state.owner is None:
                body, events = ending(cancelled(asked), state)
            if await log.append(state, body, events, epoch=state.epoch):
                if state.end is not None:
                    with contextlib.suppress(StorageError):
                        await conclude(self._store, log, state, duties=self._duties)
                return public_run(state)

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
        digest = _digest("input", idempotency_key, answer)

        def decide(state: RunState) -> _Change:
            action = _open_action(state, answer.action_id)
            if action.expires_at is not None and action.expires_at <= self._clock.now():
                raise StaleAction(f"{answer.action_id!r} has expired.", run_id=run_id)
            _check(answer, action)
            signal = Signal(
                signal="input",
                action_id=answer.action_id,
                decision=answer.decision,
                content=answer.content,
                data=answer.data,
                key=digest,
            )
            event = received_event(action.agent, answer.action_id, answer.decision)
            return _Change(signal, event, wakes=not state.is_paused)

        return await self._append(run_ref(tenant, run_id), decide, digest)

    async def pause(self, tenant: str, run_id: str) -> Run:
        """Pause the run: no more calls start. Repeating this changes nothing.

        Raises:
            RunEnded: The run has ended.
        """

        def decide(state: RunState) -> _Change:
            if state.is_paused:
                return _Change(None)
            # The owner emits the event itself, once the calls in flight have completed.
            events = [] if state.owner is not None else [paused_event()]
            return _Change(Signal(signal="pause"), *events)

        return (await self._append(run_ref(tenant, run_id), decide)).run

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
        raised = limits and limits.model_dump(mode="json", exclude_unset=True)

        def decide(state: RunState) -> _Change:
            if limits is not None:
                check_limits(limits, state.spec.definition)
            if not state.is_paused:
                changes = limits is not None and state.limits.raised(limits) != state.limits
                signal = Signal(signal="resume", limits=raised) if changes else None
                # The process that resumed it may have been lost before it woke a worker.
                return _Change(signal, wakes=state.owner is None)
            if anew and (state.waiting is None or state.waiting.why != "diverged"):
                raise NoSuchPoint(
                    "The run has not diverged from its log, so it can only be resumed from 'here'.",
                    pointer="/from",
                    run_id=run_id,
                )
            signal = Signal(signal="resume", limits=raised, anew=anew)
            return _Change(signal, resumed_event(), wakes=True)

        return (await self._append(run_ref(tenant, run_id), decide)).run

    async def speak(
        self, tenant: str, run_id: str, message: InputMessage, *, idempotency_key: str | None = None
    ) -> SignalResult:
        """Send a message to the team, which reads it before its next turn.

        Raises:
            RunEnded: The run has ended.
            IdempotencyConflict: The key was used with another message.
        """
        digest = _digest("messages", idempotency_key, message)
        signal = Signal(
            signal="message", content=message.content, source=message.source, key=digest
        )
        return await self._append(run_ref(tenant, run_id), lambda _: _Change(signal), digest)

    async def _append(
        self, ref: RunRef, decide: Callable[[RunState], _Change], digest: str | None = None
    ) -> SignalResult:
        log = self._log(ref, _PATIENCE)
        while True:
            state = await self._reader.state(ref)
            repeated = digest is not None and _is_repeated(digest, state)
            if not repeated and (state.end is not None or state.cancel is not None):
                raise _ended(state)
            change = _Change(None, wakes=state.end is None) if repeated else decide(state)
            if change.wakes or (state.owner is not None and state.end is None):
                await self._store.put_new(open_marker(ref), b"")  # a claimed run's may be lost
            if change.signal is None:
                self._remind(ref, state)
            elif not await log.append(state, change.signal, change.events, epoch=state.epoch):
                continue
            if change.wakes and state.owner is None and state.end is None:
                # The worker that suspended the run may have deleted the marker in the meantime.
                await self._store.put_new(open_marker(ref), b"")
                await self._hint(ref)
            return SignalResult(public_run(state), repeated)

    def _remind(self, ref: RunRef, state: RunState) -> None:
        """Notify the owner again: the process that appended the signal may have been lost."""
        if state.owner is not None:
            self._observers.notices.poke(state.owner, ref)


def _is_stronger(mode: CancelMode, before: Signal | None) -> bool:
    """Whether a cancel changes anything after a previous one."""
    return before is None or (mode == "now" and before.mode == "graceful")


def _ended(state: RunState) -> RunEnded:
    run_id = state.spec.run_id
    what = "is being cancelled" if state.end is None else "has ended"
    return RunEnded(f"Run {run_id!r} {what}; its status is {state.status}.", run_id=run_id)


def _digest(route: str, key: str | None, body: BaseModel) -> str | None:
    """An Idempotency-Key as the log stores it: a digest of route and key, and one of the body."""
    if not key:
        return key
    return f"{hashlib.sha256(f'{route} {key}'.encode()).hexdigest()}.{request_digest(body)}"


def _is_repeated(digest: str, state: RunState) -> bool:
    """Whether the log has this request already.

    Raises:
        IdempotencyConflict: The log has another request with the same key.
    """
    if digest in state.signal_keys:
        return True
    key = digest.partition(".")[0]
    if any(each.startswith(key) for each in state.signal_keys):
        raise IdempotencyConflict(
            "The Idempotency-Key was used with another body; use a new key.",
            run_id=state.spec.run_id,
        )
    return False


def _open_action(state: RunState, action_id: str) -> RequiredAction:
    for action in state.actions:
        if action.id == action_id:
            return action
    raise StaleAction(
        f"The run has no open question {action_id!r}; its `required_actions` field lists the "
        "open questions.",
        run_id=state.spec.run_id,
    )


def _check(answer: Answer, action: RequiredAction) -> None:
    """Refuse an answer that does not fit the question.

    Raises:
        UnfitAnswer: The answer does not fit.
    """
    decisions = action.decisions or _DECISIONS[action.type]
    if answer.decision not in decisions:
        taken = " or ".join(repr(each) for each in decisions)
        raise UnfitAnswer(
            f"`decision` is {answer.decision!r}, but this {_NOUNS[action.type]} requires {taken}.",
            pointer="/decision",
        )
    if action.schema_ is not None:
        check_data(answer.data, action.schema_)
    elif answer.decision == "answer" and not (answer.content or "").strip():
        raise UnfitAnswer(
            "`content` is missing or blank; put the answer there.", pointer="/content"
        )
