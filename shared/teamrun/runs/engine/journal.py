"""The run's side of the journal: what team code awaits, and what it has said so far.

Team code calls `Journal.call`; the engine starts the call on the real loop, writes its outcome to
the log and then, and only then, gives it back. The id of a call is its position,
`{agent path}/{kind}:{k}`, so that a replay of the same code asks for the same calls.
"""

import asyncio
import hashlib
from datetime import datetime
from typing import Any, NamedTuple

from teamrun.messages.chat import BaseChatMessage
from teamrun.runs.engine.loop import RunLoop
from teamrun.runs.engine.protocol import CallKind, PendingCall, Perform, Question
from teamrun.runs.log.entries import CallRecord, ErrorRecord, LoggedEvent, Signal, Undo
from teamrun.runs.log.status import RequiredAction

__all__ = ["Journal", "RunOrigin"]


class RunOrigin:
    """Identifiers and time of a run: from its seed, and from its log."""

    __slots__ = ("_count", "_seed", "time")

    def __init__(self, seed: str, time: datetime) -> None:
        self._seed = hashlib.blake2b(key=bytes.fromhex(seed), digest_size=16)
        self._count = 0
        self.time = time

    def new_id(self) -> str:
        """The next identifier, in the form of a UUIDv8 (RFC 9562: own content)."""
        self._count += 1
        digest = self._seed.copy()
        digest.update(self._count.to_bytes(8, "big"))
        raw = digest.hexdigest()
        return f"{raw[:8]}-{raw[8:12]}-8{raw[13:16]}-8{raw[17:20]}-{raw[20:]}"

    def now(self) -> datetime:
        """The time of the last delivered entry."""
        return self.time


class _Moment(NamedTuple):
    """Before run code was told of a failure."""

    said: int
    asked: dict[str, RequiredAction]


def _required(action: RequiredAction) -> LoggedEvent:
    data = action.model_dump(mode="json")
    return LoggedEvent(type="run.input_required", agent=action.agent, data=data)


def _withdrawn(action: RequiredAction) -> LoggedEvent:
    data = {"action_id": action.id, "decision": "withdrawn"}
    return LoggedEvent(type="run.input_received", agent=action.agent, data=data)


class Journal:
    """Calls that wait and events that were said; the engine reads and answers."""

    def __init__(self, loop: RunLoop, origin: RunOrigin, *, skip_events: int = 0) -> None:
        self.loop = loop
        self.origin = origin
        self.pending: dict[str, PendingCall] = {}
        self.fresh: list[PendingCall] = []
        """Calls asked for since the engine last looked."""
        self.abandoned: list[str] = []
        """Calls that run code stopped waiting for since the engine last looked."""
        self.events: list[LoggedEvent] = []
        """Said by run code and not yet in the log."""
        self.tool_states: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, bool] = {}
        """Agents whose tools keep a session, and whether it is in this process."""
        self.inside: dict[str, list[CallRecord]] = {}
        """What agents' own code has called, by the call of that code, until that is on record."""
        self.made_inside: dict[str, int] = {}
        """How many calls such an agent has made in turns that are on record, by its path."""
        self.journaled_tools: set[str] = set()
        """Ids that the model gave to tool calls which went through the journal."""
        self.inbox: list[Signal] = []
        """What was said to the team and not heard by it yet."""
        self.turn = 0
        """The turn that the team is in, from 1."""
        self.latest: BaseChatMessage | None = None
        """The last message of an agent that counts as output."""
        self.output_sources: frozenset[str] | None = None
        """Agents whose messages count as output; None: all."""
        self.closed = False
        self.is_over = False
        """The code of the run has come to its end."""
        self._skip = skip_events
        self._positions: dict[str, int] = {}
        self._failures: dict[str, tuple[int, ErrorRecord]] = {}
        self._delivered = self._last = self._said = 0
        self._spare: dict[str, CallRecord] = {}  # writes that nobody waited for any more
        self._asked: dict[str, RequiredAction] = {}
        self._answered: set[str] = set()
        self._before = _Moment(0, {})

    @property
    def unspoken(self) -> int:
        """Logged events that a replay has not said yet; 0 when it has caught up."""
        return self._skip

    def emit(self, type: str, *, agent: str | None = None, data: dict[str, Any]) -> None:
        """Say an event from run code; the first ones of a replay are in the log already."""
        self._said += 1
        if self._skip:
            self._skip -= 1
            return
        self.events.append(LoggedEvent(type=type, agent=agent, data=data))

    def _say(self, event: LoggedEvent) -> None:
        self.emit(event.type, agent=event.agent, data=event.data)

    def position(self, agent: str, kind: CallKind) -> int:
        """The number of the next call of that kind by that agent; counts it."""
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
        """Wait for the recorded outcome of a call, which is made only where there is none yet.

        Args:
            agent: Path of the agent, which with `kind` and `position` identifies the call.
            kind: What sort of call it is.
            name: Of the model profile or tool.
            position: From `position()`.
            perform: Makes the call; None where a person does.
            arguments_digest: sha256 of the arguments, where the call has outside effects.
            expires_at: When the wait for a person is over.
        """
        if self.closed:
            raise asyncio.CancelledError
        call_id = f"{agent}/{kind}:{position}"
        spare = self._spare.pop(call_id, None)
        if spare is not None and spare.arguments_digest == arguments_digest:
            return spare  # made in an attempt before, and not to be made twice
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
        """What a retry leaves out: calls whose failure, of that text, ended run code.

        They are the last it was told, and those that came later. An earlier failure of the same
        text was heard and dealt with, and what followed is on record: without it a replay would go
        another way.
        """
        failed = {
            nth: call_id
            for call_id, (nth, known) in self._failures.items()
            if nth >= self._last and known.message == error.message
        }
        if self._last not in failed:
            return None
        return Undo(calls=[*failed.values()], said=self._before.said)

    def asked_otherwise(self) -> list[LoggedEvent]:
        """Events that take back what the end of run code changed about its questions."""
        before = self._before.asked
        withdrawn = [action for action in self._asked.values() if action.id not in before]
        gone = [action for action in before.values() if action.id not in self._asked]
        again = [action for action in gone if action.id not in self._answered]
        return [*map(_withdrawn, withdrawn), *map(_required, again)]

    def ended(self, root: asyncio.Task[Any]) -> None:
        """The code of the run has come to its end, by what was delivered last."""
        self._last = self._delivered
        self.is_over = True

    def deliver(self, record: CallRecord) -> None:
        """Give the recorded outcome to run code, which runs at the next drain."""
        self._delivered += 1
        if record.error is not None:
            self._failures[record.call_id] = (self._delivered, record.error)
            if not self.is_over:
                self._before = _Moment(self._said, dict(self._asked))
        pending = self.pending.get(record.call_id)
        if record.kind == "agent":
            path, made = record.call_id.rpartition("/")[0], self.inside.pop(record.call_id, ())
            self.made_inside[path] = self.made_inside.get(path, 0) + len(made)
        if record.within is not None:
            self.inside.setdefault(record.within, []).append(record)
        elif pending is None and record.arguments_digest is not None:
            self._spare[record.call_id] = record
        if record.state is not None:
            self.tool_states[f"{record.call_id.rpartition('/')[0]}/{record.name}"] = record.state
        future = None if pending is None else pending.future
        if future is not None and not future.done():
            future.set_result(record)

    async def ask(self, question: Question) -> CallRecord:
        """Ask a person; the record holds the answer, or the error `expired`."""
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
        self._say(_required(action))
        self._asked[action_id] = action
        try:
            return await self.call(
                question.agent, "input", question.type, position, None, expires_at=expires_at
            )
        except asyncio.CancelledError:
            if not self.closed:
                self._say(_withdrawn(action))
            raise
        finally:
            del self._asked[action_id]

    def hear(self, signal: Signal) -> CallRecord | None:
        """Somebody speaks: to the team, or to answer a question; returns that answer.

        What the team has not taken by its end is unread; the answer is for who still waits for it.
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
        """Let run code go: its tasks are cancelled, and what they ask for is refused."""
        self.closed = True
        self.loop.close()
        self.pending.clear()
        self.fresh.clear()
        self.events.clear()
