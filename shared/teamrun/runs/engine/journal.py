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
import hashlib
from datetime import datetime
from typing import Any, NamedTuple

from teamrun.json_types import JsonObject
from teamrun.messages.chat import BaseChatMessage
from teamrun.runs.engine.loop import RunLoop
from teamrun.runs.engine.protocol import CallKind, PendingCall, Perform, Question
from teamrun.runs.log.entries import CallRecord, ErrorRecord, LoggedEvent, Signal, Undo
from teamrun.runs.log.status import RequiredAction

__all__ = ["Journal", "RunOrigin"]


class RunOrigin:
    """The identifiers and the time of a run, derived from its seed and its log.

    A replay must create messages with the same ids and times, so neither may come from the machine.
    """

    __slots__ = ("_count", "_seed", "time")

    def __init__(self, seed: str, time: datetime) -> None:
        self._seed = hashlib.blake2b(key=bytes.fromhex(seed), digest_size=16)
        self._count = 0
        self.time = time

    def new_id(self) -> str:
        """The next identifier, formatted as a UUIDv8 (RFC 9562, custom content)."""
        self._count += 1
        digest = self._seed.copy()
        digest.update(self._count.to_bytes(8, "big"))
        raw = digest.hexdigest()
        return f"{raw[:8]}-{raw[8:12]}-8{raw[13:16]}-8{raw[17:20]}-{raw[20:]}"

    def now(self) -> datetime:
        """The time of the last delivered entry."""
        return self.time


class _Snapshot(NamedTuple):
    """What run code had emitted and asked before a failure was delivered to it."""

    emitted: int
    asked: dict[str, RequiredAction]


def _required(action: RequiredAction) -> LoggedEvent:
    data = action.model_dump(mode="json")
    return LoggedEvent(type="run.input_required", agent=action.agent, data=data)


def _withdrawn(action: RequiredAction) -> LoggedEvent:
    data = {"action_id": action.id, "decision": "withdrawn"}
    return LoggedEvent(type="run.input_received", agent=action.agent, data=data)


class Journal:
    """The pending calls and new events of one execution, read by the engine."""

    def __init__(self, loop: RunLoop, origin: RunOrigin, *, skip_events: int = 0) -> None:
        self.loop = loop
        self.origin = origin
        self.pending: dict[str, PendingCall] = {}
        self.fresh: list[PendingCall] = []
        """Calls requested since the engine last read this list."""
        self.abandoned: list[str] = []
        """Calls that run code has stopped awaiting since the engine last read this list."""
        self.events: list[LoggedEvent] = []
        """Events emitted by run code that are not yet in the log."""
        self.tool_states: dict[str, JsonObject] = {}
        self.sessions: dict[str, bool] = {}
        """Agents whose tools keep a session, and whether that session is in this process."""
        self.inside: dict[str, list[CallRecord]] = {}
        """Calls made inside a custom agent's turn, by the id of that turn's call. A turn that was
        interrupted reuses them, so that only the missing calls are made and paid for."""
        self.made_inside: dict[str, int] = {}
        """The number of calls made inside a custom agent's recorded turns, by agent path. The next
        turn numbers its calls from there."""
        self.journaled_tools: set[str] = set()
        """Tool call ids, assigned by the model, of the calls that went through the journal."""
        self.inbox: list[Signal] = []
        """Messages to the team that it has not read yet."""
        self.turn = 0
        """The current turn of the team, from 1."""
        self.latest: BaseChatMessage | None = None
        """The last message that counts as output."""
        self.output_sources: frozenset[str] | None = None
        """Agents whose messages count as output; None for all."""
        self.closed = False
        self.is_over = False
        """Run code has ended. Nothing is delivered to it any more."""
        self._skip = skip_events
        self._positions: dict[str, int] = {}
        self._failures: dict[str, tuple[int, ErrorRecord]] = {}
        self._delivered = self._last = self._emitted = 0
        self._spare: dict[str, CallRecord] = {}  # completed writes that run code does not await
        self._asked: dict[str, RequiredAction] = {}
        self._answered: set[str] = set()
        self._before = _Snapshot(0, {})

    @property
    def unspoken(self) -> int:
        """Logged events that a replay has not emitted again yet; 0 once it has caught up."""
        return self._skip

    def emit(self, type: str, *, agent: str | None = None, data: JsonObject) -> None:
        """Emit an event from run code.

        A replay emits the same events again. As many as the log has are dropped, so that each event
        is in the log once. They are counted and not compared: a release may reword an event.
        """
        self._emitted += 1
        if self._skip:
            self._skip -= 1
            return
        self.events.append(LoggedEvent(type=type, agent=agent, data=data))

    def _emit_event(self, event: LoggedEvent) -> None:
        self.emit(event.type, agent=event.agent, data=event.data)

    def position(self, agent: str, kind: CallKind) -> int:
        """Reserve the number of the agent's next call of that kind."""
        key = f"{agent}/{kind}"
        k = self._positions.get(key, 0)
        self._positions[key] = k + 1
        return k

    async def call(
        self,
        agent: str,
        kind: CallKind,
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
            kind: The kind of call.
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

    def undo(self, error: ErrorRecord) -> Undo | None:
        """The calls that a retry leaves out: those whose failure ended run code.

        They have the message of `error`, and were delivered last or after run code had ended. Run
        code has handled an earlier failure with the same message, and the log has what followed.
        If the retry left that one out too, the replay would diverge from the log.

        Returns:
            None if the last delivery was no such failure: run code failed by itself, and a retry
            would fail in the same way.
        """
        failed = {
            nth: call_id
            for call_id, (nth, known) in self._failures.items()
            if nth >= self._last and known.message == error.message
        }
        if self._last not in failed:
            return None
        return Undo(calls=[*failed.values()], said=self._before.emitted)

    def asked_otherwise(self) -> list[LoggedEvent]:
        """Events that revert what the failed end of run code did to its questions.

        Run code withdraws its questions when it fails, and may ask new ones first. The retry
        continues before that point, so the clients must see the earlier questions again.
        """
        before = self._before.asked
        withdrawn = [action for action in self._asked.values() if action.id not in before]
        gone = [action for action in before.values() if action.id not in self._asked]
        again = [action for action in gone if action.id not in self._answered]
        return [*map(_withdrawn, withdrawn), *map(_required, again)]

    def ended(self, root: asyncio.Task[Any]) -> None:
        """Note that run code has ended because of the last delivery."""
        self._last = self._delivered
        self.is_over = True

    def deliver(self, record: CallRecord) -> None:
        """Deliver the recorded outcome to run code, which continues at the next drain."""
        self._delivered += 1
        if record.error is not None:
            self._failures[record.call_id] = (self._delivered, record.error)
            if not self.is_over:  # a retry returns to the state before this failure
                self._before = _Snapshot(self._emitted, dict(self._asked))
        pending = self.pending.get(record.call_id)
        if record.kind == "agent":
            path, made = record.call_id.rpartition("/")[0], self.inside.pop(record.call_id, ())
            self.made_inside[path] = self.made_inside.get(path, 0) + len(made)
        if record.within is not None:
            self.inside.setdefault(record.within, []).append(record)
        elif pending is None and record.arguments_digest is not None:
            # Without the failure that a retry left out, run code may request its calls in another
            # order. The outcome of a write is kept in case it is requested later.
            self._spare[record.call_id] = record
        if record.state is not None:
            self.tool_states[f"{record.call_id.rpartition('/')[0]}/{record.name}"] = record.state
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
        self._emit_event(_required(action))
        self._asked[action_id] = action
        try:
            return await self.call(
                question.agent, "input", question.type, position, None, expires_at=expires_at
            )
        except asyncio.CancelledError:
            if not self.closed:  # run code cancelled it; a closed execution only stops here
                self._emit_event(_withdrawn(action))
            raise
        finally:
            del self._asked[action_id]

    def hear(self, signal: Signal) -> CallRecord | None:
        """Take a signal: a message to the team, or an answer to a question.

        Messages that the team has not read when it ends are reported as unread.

        Returns:
            The outcome to deliver, if the signal answers a question that is still open.
        """
        if signal.signal == "message":
            self.inbox.append(signal)
        if signal.signal != "input" or signal.action_id is None:
            return None
        self._answered.add(signal.action_id)
        asked = self.pending.get(signal.action_id)
        if asked is None or self.is_over:
            return None
        value = {"decision": signal.decision, "content": signal.content, "data": signal.data}
        return CallRecord(call_id=asked.call_id, kind="input", name=asked.name, value=value)

    def close(self) -> None:
        """Cancel the tasks of run code; calls that they still request are refused."""
        self.closed = True
        self.loop.close()
        self.pending.clear()
        self.fresh.clear()
        self.events.clear()
