"""The journal: the calls that run code awaits, and the events that it emits.

Run code calls `Journal.call`. The engine starts the call on the real event loop and writes its
outcome to the log. Only then does it deliver the outcome to run code: if run code acted on an
outcome that was lost in a crash, a replay could take another path than the events that clients have
already seen. `docs/design/journal.md` explains the rules.

A call is identified by its position, `{agent path}/{kind}:{k}`, and not by its arguments. The same
code therefore requests the same calls in a replay, and a reworded prompt still finds its record.
The counter is per agent and kind, so that a change to one agent does not renumber the calls of the
others.
"""

import asyncio
from collections.abc import Set
from datetime import datetime
from typing import Any

from teamrun.json_types import JsonObject
from teamrun.runs.engine.failures import Failures
from teamrun.runs.engine.inner_calls import InnerCalls
from teamrun.runs.engine.loop import RunLoop
from teamrun.runs.engine.origin import RunOrigin
from teamrun.runs.engine.protocol import PendingCall, Perform, Question
from teamrun.runs.engine.questions import Questions, required, withdrawn
from teamrun.runs.engine.tool_memory import ToolMemory
from teamrun.runs.engine.transcript import Transcript
from teamrun.runs.log.entries import CallRecord, LoggedEvent, Signal
from teamrun.runs.log.kinds import CALL_KINDS
from teamrun.runs.log.status import RequiredAction

__all__ = ["Journal"]


class Journal:
    """The pending calls and new events of one execution, read by the engine."""

    def __init__(
        self,
        loop: RunLoop,
        origin: RunOrigin,
        *,
        skip_events: int = 0,
        emitted: int = 0,
        positions: dict[str, int] | None = None,
    ) -> None:
        self.loop = loop
        self.origin = origin
        self.pending: dict[str, PendingCall] = {}
        self.fresh: list[PendingCall] = []
        """Calls requested since the engine last read this list."""
        self.abandoned: list[str] = []
        """Calls that run code has stopped awaiting since the engine last read this list."""
        self.events: list[LoggedEvent] = []
        """Events emitted by run code that are not yet in the log."""
        self.tools = ToolMemory()
        self.inner = InnerCalls()
        self.unread: list[Signal] = []
        """Messages from outside that the team has not read yet."""
        self.transcript = Transcript()
        self.questions = Questions()
        self.failures = Failures()
        self.closed = False
        self.is_over = False
        """Run code has ended. Nothing is delivered to it any more."""
        self.freezes = False
        """Run code is asked for its state, when a turn begins."""
        self.frozen: bytes | None = None
        """The state that it has left, as JSON; see `frozen.py`."""
        self.thawed: JsonObject | None = None
        """The state of the team from which run code starts, instead of at the beginning."""
        self._skip = skip_events
        self.positions: dict[str, int] = positions or {}
        """The number of calls that run code has requested, by agent and kind."""
        self.emitted = emitted
        """The number of events that run code has emitted."""
        self._spare: dict[str, CallRecord] = {}  # completed writes that run code does not await

    @property
    def has_spare(self) -> bool:
        """Whether outcomes of writes are kept that run code does not await yet."""
        return bool(self._spare)

    @property
    def left_to_skip(self) -> int:
        """Logged events that a replay has not emitted again yet; 0 once it has caught up."""
        return self._skip

    def catch_up(self, logged: int) -> None:
        """Drop the events that another worker has written, once run code has emitted them.

        Args:
            logged: How many events of run code are in the log now.
        """
        new = logged - (self.emitted - len(self.events))
        self._skip = max(0, new - len(self.events))
        del self.events[:new]

    def emit(self, type: str, *, agent: str | None = None, data: JsonObject) -> None:
        """Emit an event from run code.

        A replay emits the same events again. As many as the log has are dropped, so that each event
        is in the log once. They are counted and not compared: a release may reword an event.
        """
        self.emitted += 1
        if self._skip:
            self._skip -= 1
            return
        self.events.append(LoggedEvent(type, agent, data))

    def _emit_event(self, event: LoggedEvent) -> None:
        self.emit(event.type, agent=event.agent, data=event.data)

    def position(self, agent: str, kind: str) -> int:
        """Reserve the number of the agent's next call of that kind."""
        key = f"{agent}/{kind}"
        k = self.positions.get(key, 0)
        self.positions[key] = k + 1
        return k

    async def call(
        self,
        agent: str,
        kind: str,
        name: str,
        position: int,
        perform: Perform | None,
        *,
        arguments_digest: str | None = None,
        expires_at: datetime | None = None,
    ) -> CallRecord:
        """Wait for the recorded outcome of a call; the call is made only if it has no record.

        Args:
            agent: The path of the agent; with `kind` and `position` it identifies the call.
            kind: The name of a row of `CALL_KINDS`.
            name: The name of the model profile or tool.
            position: The result of `position()`.
            perform: Makes the call; None if a person answers it.
            arguments_digest: The sha256 of the arguments, if the call has outside effects.
            expires_at: When the wait for a person ends.
        """
        if self.closed:
            raise asyncio.CancelledError
        call_id = f"{agent}/{kind}:{position}"
        spare = self._spare.pop(call_id, None)
        if spare is not None and spare.arguments_digest == arguments_digest:
            # The write was made before the retry left out the failure. With the same arguments it
            # is the same write, so its outcome is used and the write is not repeated.
            return spare
        future: asyncio.Future[CallRecord] = self.loop.create_future()
        pending = PendingCall(
            call_id, kind, name, agent, position, perform, future, arguments_digest, expires_at
        )
        self.pending[call_id] = pending
        self.fresh.append(pending)
        try:
            return await future
        finally:
            del self.pending[call_id]
            if future.cancelled():
                self.abandoned.append(call_id)

    def ended(self, root: asyncio.Task[Any]) -> None:
        """Note that run code has ended because of the last delivery."""
        self.failures.last = self.failures.delivered
        self.is_over = True

    def deliver(self, record: CallRecord) -> None:
        """Deliver the recorded outcome to run code, which continues at the next drain."""
        self.failures.delivered += 1
        if record.error is not None:
            self.failures.add(record.call_id, record.error)
            if not self.is_over:  # a retry returns to the state before this failure
                self.failures.emitted = self.emitted
                self.failures.asked_before = dict(self.questions.asked)
        if record.within is not None or CALL_KINDS[record.kind].has_calls_inside:
            self.inner.record(record)
        if record.state is not None:
            self.tools.states[f"{record.call_id.rpartition('/')[0]}/{record.name}"] = record.state
        pending = self.pending.get(record.call_id)
        is_write = record.within is None and record.arguments_digest is not None
        if pending is None and is_write:
            # Without the failure that a retry left out, run code may request its calls in another
            # order. The outcome of a write is kept in case it is requested later.
            self._spare[record.call_id] = record
        future = None if pending is None else pending.future
        if future is not None and not future.done():
            future.set_result(record)

    async def ask(self, question: Question) -> CallRecord:
        """Ask a person; the record contains the answer, or the error `expired`.

        The question is an event as well as a pending call, so that clients see it at once while
        other branches of the run continue.
        """
        position = self.position(question.agent, "input")
        action_id = f"{question.agent}/input:{position}"
        expires_at = None
        if question.expires_in is not None:
            expires_at = self.origin.now() + question.expires_in
        action = RequiredAction(
            id=action_id,
            type=question.type,
            agent=question.agent.rpartition("/")[2],
            prompt=question.prompt,
            schema=question.schema,
            expires_at=expires_at,
            decisions=question.decisions,
        )
        self._emit_event(required(action))
        self.questions.asked[action_id] = action
        try:
            return await self.call(
                question.agent, "input", question.type, position, None, expires_at=expires_at
            )
        except asyncio.CancelledError:
            if not self.closed:  # run code cancelled it; a closed execution only stops here
                self._emit_event(withdrawn(action))
            raise
        finally:
            del self.questions.asked[action_id]

    def open_calls(self) -> Set[str]:
        """The ids of the calls whose outcome the log may still get.

        A question that was answered after run code had ended stays pending, because run code does
        not receive the answer.
        """
        return self.pending.keys() - self.questions.answered

    def receive(self, signal: Signal) -> CallRecord | None:
        """Take a signal: a message to the team, or an answer to a question.

        Messages that the team has not read when it ends are reported as unread.

        Returns:
            The outcome to deliver, if the signal answers a question that is still open.
        """
        if signal.signal == "message":
            self.unread.append(signal)
        if signal.signal != "input" or signal.action_id is None:
            return None
        self.questions.answered.add(signal.action_id)
        asked = self.pending.get(signal.action_id)
        if asked is None or self.is_over:
            return None
        value = {"decision": signal.decision, "content": signal.content, "data": signal.data}
        return CallRecord(call_id=asked.call_id, kind="input", name=asked.name, value=value)

    def read_messages(self) -> list[Signal]:
        """The messages from outside, which are read now."""
        read, self.unread = self.unread, []
        return read

    def close(self) -> None:
        """Cancel the tasks of run code; calls that they still request are refused."""
        self.closed = True
        self.tools.close()
        self.loop.close()
        self.pending.clear()
        self.fresh.clear()
        self.events.clear()
