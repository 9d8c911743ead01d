"""The calls of one run that are in flight, on the worker's real event loop."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection
from contextvars import Context
from time import monotonic
from typing import NamedTuple

from teamrun.core.call import CallInfo, agent_name, current_call
from teamrun.dispatch.queues import Queue
from teamrun.json_types import JsonObject
from teamrun.messages.recordable import PairJoiner, reportable
from teamrun.runs.engine.outcomes import failed_outcome, log_failure, recorded
from teamrun.runs.engine.protocol import Outcome, PendingCall, Perform
from teamrun.runs.log.entries import ArtifactRecord, CallRecord, ErrorRecord, LoggedEvent
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.state import RunState

__all__ = ["Calls", "Done", "record_of"]

logger = logging.getLogger(__name__)

Publish = Callable[[JsonObject], None]
"""Publishes a delta to live subscribers."""


class Done(NamedTuple):
    """A call that has completed and is not in the log yet."""

    call: PendingCall
    outcome: Outcome
    duration_ms: float
    within: str | None = None
    """The call that it was made inside, if any."""


def record_of(done: Done, *, unawaited: bool, versions: dict[str, int]) -> CallRecord:
    """The record of a completed call; increments the versions of its artifacts."""
    call, outcome = done.call, done.outcome
    artifacts: list[ArtifactRecord] = []
    for artifact in outcome.artifacts:
        versions[artifact.name] = versions.get(artifact.name, 0) + 1
        artifacts.append(artifact.model_copy(update={"version": versions[artifact.name]}))
    # By position: so many keywords would take longer than all the rest of it.
    return CallRecord(
        call.call_id,
        call.kind,
        call.name,
        outcome.value,
        outcome.error,
        outcome.usage,
        outcome.cost_usd,
        outcome.model,
        outcome.scripted,
        artifacts,
        outcome.state,
        unawaited,
        call.arguments_digest,
        done.within,
        round(done.duration_ms, 1),
    )


def _failed(call: PendingCall, error: BaseException, info: CallInfo) -> Outcome:
    log_failure(error, info, **{call.kind: call.name})
    return failed_outcome(error, agent=call.agent)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


_PATIENCE_S = 3.0
"""How long a cancelled call may take to end, in seconds."""

_UNKNOWN = (
    "The call was started, and its worker was lost before the outcome was recorded. "
    "It may or may not have taken effect, so it is not repeated."
)


def _nothing() -> None:
    pass


def _unlimited(call: PendingCall) -> bool:
    return False


def _not_lapsed() -> bool:
    return False


class Calls:
    """Starts calls, collects their outcomes, and cancels those that run code stopped awaiting."""

    def __init__(
        self,
        *,
        log: RunLog,
        state: RunState,
        publish: Publish,
        nudge: Callable[[], None],
    ) -> None:
        self._log = log
        self._state = state
        self.publish = publish
        self._nudge = nudge
        self._is_batch = state.spec.queue == Queue.BATCH
        self.in_flight: dict[str, OpenCall] = {}
        """The calls in flight, without those inside others."""
        self._made_inside: list[PendingCall] = []
        """The calls in flight inside others."""
        self.inside: list[PendingCall] = []
        """Calls inside other calls that a limit currently prevents from starting."""
        self._room: asyncio.Event | None = None
        """Set, and then removed, when a call has ended; None if no call waits for that."""
        self.is_limited: Callable[[PendingCall], bool] = _unlimited
        """Whether a limit prevents a call from starting."""
        self.has_lapsed: Callable[[], bool] = _not_lapsed
        """Whether another worker may have taken over, so that no call starts."""
        self._awaits_renewal = self._is_closed = False
        self.done: list[Done] = []
        """Completed calls that are not yet in the log, in the order of completion."""
        self.events: list[LoggedEvent] = []
        """Events from inside calls that are not yet in the log."""

    def under_way(self) -> dict[str, int]:
        """The number of calls that have started and are not yet recorded, by kind."""
        calls = [open_call.call for open_call in self.in_flight.values()]
        calls += [*self._made_inside, *(done.call for done in self.done)]
        return Counter(call.kind for call in calls)

    def start(self, call: PendingCall) -> None:
        """Start a call, in a fresh context that contains only `current_call`."""
        ref = self._log.ref
        info = CallInfo(
            call.call_id, call.agent, call.position, ref.run_id, self._is_batch, ref.tenant
        )
        context = Context()
        context.run(current_call.set, info)
        self.in_flight[call.call_id] = open_call = OpenCall(
            self, call, info, self._log, self._state
        )
        open_call.task = asyncio.get_running_loop().create_task(
            self._perform(open_call), context=context
        )

    def expire(self, call: PendingCall) -> None:
        """Conclude a question that was not answered in time."""
        message = "The question was not answered in time."
        error = ErrorRecord(type="RunError", code="expired", message=message, agent=call.agent)
        self._conclude(call, Outcome(error=error))

    def forget_expiries(self, open_calls: Collection[str]) -> None:
        """Drop expiries of questions that were answered or withdrawn before they were recorded."""
        self.done = [
            done
            for done in self.done
            if done.call.perform is not None or done.call.call_id in open_calls
        ]

    def leave_unknown(self, call: PendingCall) -> None:
        """Conclude a call that a lost worker had started; run code decides what happens next."""
        error = ErrorRecord(
            type="ToolError", code="outcome_unknown", message=_UNKNOWN, agent=call.agent
        )
        self._conclude(call, Outcome(error=error))

    def _conclude(self, call: PendingCall, outcome: Outcome) -> None:
        if all(done.call is not call for done in self.done):
            self.done.append(Done(call, outcome, 0.0))

    def abandon(self, call_id: str) -> None:
        """Cancel a call; if it completes nevertheless, it is recorded as unawaited."""
        open_call = self.in_flight.get(call_id)
        if open_call is None or open_call.is_cancelled:
            return
        open_call.is_cancelled, task = True, open_call.task
        assert task is not None, "a call in flight has a task"
        task.cancel()
        late = task.get_loop().call_later(_PATIENCE_S, self._give_up, open_call)
        task.add_done_callback(lambda _: late.cancel())
        task.add_done_callback(lambda _: self._finished(call_id))

    def _give_up(self, open_call: "OpenCall") -> None:
        """Continue without a call whose code ignores its cancellation."""
        logger.warning(
            "A call did not end after it was cancelled; the run continues without it",
            extra={
                "action": "engine.call_abandoned",
                **self._log.ref.log_fields(),
                "call_id": open_call.call.call_id,
                "patience_s": _PATIENCE_S,
            },
        )
        open_call.is_given_up = True
        self._finished(open_call.call.call_id)

    def abandon_all(self) -> None:
        """Cancel every call."""
        for call_id in list(self.in_flight):
            self.abandon(call_id)

    def close(self) -> None:
        """Cancel every call; their completion is not reported any more, and none starts."""
        self.abandon_all()
        self._is_closed = True
        # Breaks a reference cycle with the execution.
        self._nudge, self.is_limited, self.has_lapsed = _nothing, _unlimited, _not_lapsed

    async def _perform(self, open_call: "OpenCall") -> None:
        call, started = open_call.call, monotonic()
        assert call.perform is not None, "a question is not performed"
        try:
            outcome = recorded(await call.perform(open_call))
        except BaseException as error:  # an exception of any class is the outcome of its call
            if open_call.is_cancelled and isinstance(error, asyncio.CancelledError):
                raise
            outcome = _failed(call, error, open_call.info)
        if open_call.is_given_up:
            return
        open_call.end()
        seconds = monotonic() - started - open_call.waited_s
        self.done.append(Done(call, outcome, seconds * 1000))
        self._finished(call.call_id)

    async def make_inside(self, inner: "OpenCall", outer: "OpenCall") -> Outcome:
        """Make a call inside another one, as soon as it may start.

        It starts when those before it in the same call are durable: it may follow from them, and
        a crash would make it be paid for together with them.

        Raises:
            asyncio.CancelledError: Also if the engine has continued without the outer call.
        """
        call = inner.call
        self._refuse_after(outer)
        await self._recorded_inside(outer)
        await self._admitted(call, outer)
        started = monotonic()
        assert call.perform is not None, "a question is not performed"
        self._made_inside.append(call)
        try:
            outcome = recorded(await call.perform(inner))
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
                raise  # cancelled by the engine, or by the code that requested this call
            outcome = _failed(call, error, inner.info)
        finally:
            self._made_inside.remove(call)
            inner.end()
            self.make_room()
        self._refuse_after(outer)
        seconds = monotonic() - started - inner.waited_s
        self.done.append(Done(call, outcome, seconds * 1000, outer.call.call_id))
        self._nudge()
        return outcome

    async def _recorded_inside(self, outer: "OpenCall") -> None:
        """Return when all calls that have completed inside a call are in the log."""
        while any(done.within == outer.call.call_id for done in self.done):
            await self._freed()

    def recorded(self, count: int) -> None:
        """Forget the first completed calls, which are in the log."""
        del self.done[:count]
        self._check_again()

    def _refuse_after(self, outer: "OpenCall") -> None:
        # The code of a turn may catch its cancellation and request another call.
        if self._is_closed or outer.is_given_up:
            raise asyncio.CancelledError

    async def _admitted(self, call: PendingCall, outer: "OpenCall") -> None:
        """Return when no limit prevents a call inside another one from starting.

        If the limit stays reached, the engine cuts the run short in the meantime. But the call that
        used the last place may be cancelled because it is no longer awaited, which frees the place.
        """
        await self._owned()
        if not self.is_limited(call):
            return
        self.inside.append(call)
        self._nudge()
        try:
            while self.is_limited(call):
                await self._freed()
                await self._owned()
        finally:
            self.inside.remove(call)

    def are_stuck(self) -> bool:
        """Whether every call under way waits at a limit, itself or for a call inside it."""
        under_way = [*self.in_flight, *(call.call_id for call in self._made_inside)]
        waiting = [call.call_id for call in self.inside]
        return bool(waiting) and all(
            any(each.startswith(f"{call_id}/") for each in waiting) for call_id in under_way
        )

    async def _owned(self) -> None:
        """Return when the ownership has not lapsed; the execution renews it, or ends the call."""
        while self.has_lapsed():
            self._awaits_renewal = True
            self._nudge()
            await self._freed()

    def renewed(self) -> None:
        """Let the calls start that wait because the ownership had lapsed."""
        if self._awaits_renewal:
            self._awaits_renewal = False
            self._check_again()

    def make_room(self) -> None:
        """Let the calls that wait at a limit check it again."""
        if self.inside:
            self._check_again()

    async def _freed(self) -> None:
        self._room = self._room or asyncio.Event()
        await self._room.wait()

    def _check_again(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.set()

    def _finished(self, call_id: str) -> None:
        open_call = self.in_flight.pop(call_id, None)
        if open_call is not None:
            open_call.task = None  # whose context refers to the call
        if self.inside:
            self.make_room()
        self._nudge()

    def emit(self, event: LoggedEvent) -> None:
        """Add an event from inside a call."""
        self.events.append(event)
        self._nudge()


class OpenCall:
    """Implements `CallContext` for one call in flight."""

    __slots__ = (
        "_calls",
        "_joiner",
        "_log",
        "_state",
        "call",
        "info",
        "is_cancelled",
        "is_given_up",
        "task",
        "waited_s",
    )

    def __init__(
        self, calls: Calls, call: PendingCall, info: CallInfo, log: RunLog, state: RunState
    ) -> None:
        self._calls = calls
        self.call = call
        self.task: asyncio.Task[None] | None = None
        """None for a call inside another one."""
        self.is_cancelled = False
        """Cancelled by the engine."""
        self.is_given_up = False
        """It did not end after it was cancelled; its outcome is dropped."""
        self._log = log
        self._state = state
        self._joiner: PairJoiner | None = None
        self.info = info
        self.waited_s = 0.0
        """Time that is no part of the call's duration."""

    def waited(self, seconds: float) -> None:
        """Exclude time from the duration of the call: it waited for its turn."""
        self.waited_s += seconds

    def emit(self, type: str, data: JsonObject) -> None:
        """Add an event that belongs to the call; it becomes durable within a second."""
        if not self.is_given_up:
            data = reportable({"call_id": self.call.call_id, **data})
            self._calls.emit(LoggedEvent(type, agent_name(self.info.agent), data))

    def publish_delta(self, text: str) -> None:
        """Publish a piece of text to live subscribers; it is not stored."""
        if self._joiner is None:
            self._joiner = PairJoiner()
        self._publish(self._joiner.add(text))

    def end(self) -> None:
        """Publish the rest of the text when the call has ended."""
        if self._joiner is not None:
            self._publish(self._joiner.rest())

    def _publish(self, text: str) -> None:
        if text:
            self._calls.publish({"agent": agent_name(self.info.agent), "data": {"text": text}})

    async def make(
        self, kind: str, name: str, position: int, perform: Perform, arguments: str
    ) -> Outcome:
        """Make a call inside this one, with its own record, limits and events."""
        outer = self.info
        call = PendingCall(
            f"{outer.call_id}/{kind}:{position}",
            kind,
            name,
            outer.agent,
            position,
            perform,
            arguments_digest=arguments,
        )
        info = outer._replace(call_id=call.call_id, position=position)
        inner = OpenCall(self._calls, call, info, self._log, self._state)
        token = current_call.set(info)
        try:
            return await self._calls.make_inside(inner, self)
        finally:
            current_call.reset(token)

    async def put_blob(self, data: bytes) -> str:
        """Store bytes beside the log; returns their hexadecimal sha256."""
        return await self._log.put_blob(data)

    async def get_blob(self, sha256: str) -> bytes:
        """Read bytes stored beside the log."""
        return await self._log.get_blob(sha256)

    def artifact(self, name: str) -> ArtifactRecord | None:
        """The newest durable version of an artifact of this run."""
        return next((a for a in reversed(self._state.artifacts) if a.name == name), None)

    def artifact_names(self) -> list[str]:
        """Names of the durable artifacts of this run."""
        return sorted({artifact.name for artifact in self._state.artifacts})
