"""The calls of one run that are in flight, on the worker's real event loop."""

import asyncio
import logging
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
    outcome, artifacts = done.outcome, list[ArtifactRecord]()
    for artifact in outcome.artifacts:
        versions[artifact.name] = versions.get(artifact.name, 0) + 1
        artifacts.append(artifact.model_copy(update={"version": versions[artifact.name]}))
    return CallRecord(
        call_id=done.call.call_id,
        kind=done.call.kind,
        name=done.call.name,
        value=outcome.value,
        error=outcome.error,
        usage=outcome.usage,
        cost_usd=outcome.cost_usd,
        model=outcome.model,
        scripted=outcome.scripted,
        artifacts=artifacts,
        state=outcome.state,
        unawaited=unawaited,
        arguments_digest=done.call.arguments_digest,
        within=done.within,
        duration_ms=round(done.duration_ms, 1),
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
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._kinds: dict[str, str] = {}
        self._unwanted: set[str] = set()
        self._given_up: set[str] = set()
        """Calls that did not end after they were cancelled; their outcomes are dropped."""
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

    @property
    def in_flight(self) -> int:
        """The number of calls in flight."""
        return len(self._tasks)

    def under_way(self) -> dict[str, int]:
        """The number of calls that have started and are not yet recorded, by kind."""
        counts = dict[str, int]()
        for kind in [*self._kinds.values(), *(done.call.kind for done in self.done)]:
            counts[kind] = counts.get(kind, 0) + 1
        return counts

    def start(self, call: PendingCall) -> None:
        """Start a call, in a fresh context that contains only `current_call`."""
        info = CallInfo(
            call_id=call.call_id,
            agent=call.agent,
            position=call.position,
            run_id=self._log.ref.run_id,
            is_batch=self._state.spec.queue == Queue.BATCH,
        )
        context = Context()
        context.run(current_call.set, info)
        task = asyncio.get_running_loop().create_task(
            self._perform(call, OpenCall(self, info, self._log, self._state)), context=context
        )
        self._tasks[call.call_id] = task
        self._kinds[call.call_id] = call.kind

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
        task = self._tasks.get(call_id)
        if task is not None and call_id not in self._unwanted:
            self._unwanted.add(call_id)
            task.cancel()
            late = task.get_loop().call_later(_PATIENCE_S, self._give_up, call_id)
            task.add_done_callback(lambda _: late.cancel())
            task.add_done_callback(lambda _: self._finished(call_id))

    def _give_up(self, call_id: str) -> None:
        """Continue without a call whose code ignores its cancellation."""
        logger.warning(
            "A call did not end after it was cancelled; the run continues without it",
            extra={
                "action": "engine.call_abandoned",
                **self._log.ref.log_fields(),
                "call_id": call_id,
                "patience_s": _PATIENCE_S,
            },
        )
        self._given_up.add(call_id)
        self._finished(call_id)

    def abandon_all(self) -> None:
        """Cancel every call."""
        for call_id in list(self._tasks):
            self.abandon(call_id)

    def close(self) -> None:
        """Cancel every call; their completion is not reported any more, and none starts."""
        self.abandon_all()
        self._is_closed = True
        # Breaks a reference cycle with the execution.
        self._nudge, self.is_limited, self.has_lapsed = _nothing, _unlimited, _not_lapsed

    async def _perform(self, call: PendingCall, call_context: "OpenCall") -> None:
        started, perform = monotonic(), call.perform
        assert perform is not None, "a question is not performed"
        try:
            outcome = recorded(await perform(call_context))
        except BaseException as error:  # an exception of any class is the outcome of its call
            if call_context.is_cancelled and isinstance(error, asyncio.CancelledError):
                raise
            outcome = _failed(call, error, call_context.info)
        if call.call_id in self._given_up:
            return
        call_context.end()
        seconds = monotonic() - started - call_context.waited_s
        self.done.append(Done(call, outcome, seconds * 1000))
        self._finished(call.call_id)

    async def make_inside(
        self, call: PendingCall, call_context: "OpenCall", *, within: str
    ) -> Outcome:
        """Make a call inside another one, as soon as it may start.

        Raises:
            asyncio.CancelledError: Also if the engine has continued without the outer call.
        """
        self._refuse_after(within)
        await self._admitted(call, within)
        started, perform = monotonic(), call.perform
        assert perform is not None, "a question is not performed"
        self._kinds[call.call_id] = call.kind
        try:
            outcome = recorded(await perform(call_context))
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
                raise  # cancelled by the engine, or by the code that requested this call
            outcome = _failed(call, error, call_context.info)
        finally:
            self._kinds.pop(call.call_id, None)
            call_context.end()
            self.make_room()
        self._refuse_after(within)
        seconds = monotonic() - started - call_context.waited_s
        self.done.append(Done(call, outcome, seconds * 1000, within))
        self._nudge()
        return outcome

    def _refuse_after(self, within: str) -> None:
        # The code of a turn may catch its cancellation and request another call.
        if self._is_closed or within in self._given_up:
            raise asyncio.CancelledError

    async def _admitted(self, call: PendingCall, within: str) -> None:
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
        except asyncio.CancelledError:
            if not self.is_cancelled(within):  # cancelled by the code that requested the call
                self.inside.remove(call)
            raise
        self.inside.remove(call)

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

    def is_cancelled(self, call_id: str) -> bool:
        """Whether the engine has cancelled this call."""
        return call_id in self._unwanted or call_id in self._given_up

    def _finished(self, call_id: str) -> None:
        self._tasks.pop(call_id, None)
        self._kinds.pop(call_id, None)
        self._unwanted.discard(call_id)
        self.make_room()
        self._nudge()

    def emit(self, type: str, info: CallInfo, data: JsonObject) -> None:
        """Add an event from inside a call."""
        if info.call_id in self._given_up:
            return
        self.events.append(
            LoggedEvent(
                type=type,
                agent=agent_name(info.agent),
                data=reportable({"call_id": info.call_id, **data}),
            )
        )
        self._nudge()


class OpenCall:
    """Implements `CallContext` for one call in flight."""

    __slots__ = ("_calls", "_joiner", "_log", "_state", "info", "waited_s")

    def __init__(self, calls: Calls, info: CallInfo, log: RunLog, state: RunState) -> None:
        self._calls = calls
        self._log = log
        self._state = state
        self._joiner: PairJoiner | None = None
        self.info = info
        self.waited_s = 0.0
        """Time that is no part of the call's duration."""

    def waited(self, seconds: float) -> None:
        """Exclude time from the duration of the call: it waited for its turn."""
        self.waited_s += seconds

    @property
    def is_cancelled(self) -> bool:
        """Whether the engine has cancelled the call; its outcome is then not awaited."""
        return self._calls.is_cancelled(self.info.call_id)

    def emit(self, type: str, data: JsonObject) -> None:
        """Add an event that belongs to the call; it becomes durable within a second."""
        self._calls.emit(type, self.info, data)

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
        inner = OpenCall(self._calls, info, self._log, self._state)
        token = current_call.set(info)
        try:
            return await self._calls.make_inside(call, inner, within=outer.call_id)
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
