"""Tools of a run: each call goes through the journal."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from teamrun.core.call import agent_name
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import NotApproved, SessionLost, ToolError, UnknownOutcome
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.recordable import encodable, exception_text
from teamrun.runs.durable.artifacts import RunArtifacts
from teamrun.runs.durable.stateful import borrowed
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.outcomes import failed_outcome, log_failure, recorded
from teamrun.runs.engine.protocol import CallContext, Outcome, Question
from teamrun.runs.log.entries import CallRecord, Decision, ErrorRecord
from teamrun.tools.base import StreamTool, Tool
from teamrun.tools.context import ToolContext, checked_state
from teamrun.tools.schema import ToolSchema

if TYPE_CHECKING:  # a team without such a tool does not need its module
    from teamrun.tools.agent_tool import TaskRunnerTool

__all__ = ["ApprovedDelegate", "JournaledTool"]


class JournaledTool(Tool):
    """A tool of one agent of one run; its value is the text that the model receives."""

    def __init__(
        self, tool: Tool, journal: Journal, *, path: str, session_of: str | None = None
    ) -> None:
        super().__init__(tool.name, tool.description)
        self._inner = tool
        self._journal = journal
        self._path = path
        self._session_of = session_of or path  # the stateful tools of an agent share one

    @property
    def schema(self) -> ToolSchema:
        """The tool as a model sees it."""
        return self._inner.schema

    @property
    def _agent(self) -> str:
        return agent_name(self._path)

    async def run_json(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
        context: ToolContext | None = None,
    ) -> str:
        """Call the tool, or return its recorded result.

        Raises:
            ToolError: The tool failed, now or when the call was recorded.
        """
        if call_id is not None:
            self._journal.tools.journaled.add(call_id)
        if self._inner.needs_approval:
            await _approval(self._journal, self._path, self.name, args, call_id)
        record = await self._call(args, call_id)
        if record.error is not None and record.error.code == "outcome_unknown":
            return await self._after_unknown(record.error, args, call_id)
        if record.error is not None and record.error.code == SessionLost.code:
            lost = ToolError if self._inner.on_lost == "tell" else SessionLost
            raise lost(record.error.message)
        if record.error is not None:
            raise ToolError(record.error.message)
        return str(record.value)

    async def _call(self, args: JsonMapping, call_id: str | None) -> CallRecord:
        async def perform(call_context: CallContext) -> Outcome:
            return await self._perform(call_context, args, call_id)

        position = self._journal.position(self._path, "tool")
        digest = None
        if self._inner.effects == "write":
            digest = sha256(to_json(args)).hexdigest()
        record = await self._journal.call(
            self._path, "tool", self.name, position, perform, arguments_digest=digest
        )
        if record.error is not None and record.error.code == SessionLost.code:
            self._journal.tools.sessions.pop(self._session_of, None)
        elif self._inner.session == "stateful":
            self._journal.tools.sessions.setdefault(self._session_of, False)  # of a replayed call
        return record

    async def _ask(self, prompt: str, *decisions: Decision) -> CallRecord:
        return await _ask(self._journal, self._path, prompt, *decisions)

    async def _after_unknown(
        self, error: ErrorRecord, args: JsonMapping, call_id: str | None
    ) -> str:
        match self._inner.on_unknown:
            case "tell":
                raise ToolError(error.message)
            case "fail":
                raise UnknownOutcome(f"{self.name}: {error.message}")
            case "ask":
                return await self._ask_after_unknown(args, call_id)

    async def _ask_after_unknown(self, args: JsonMapping, call_id: str | None) -> str:
        prompt = (
            f"It is unknown whether {self.name}({to_json(args).decode()}) took effect. Approve to "
            "make the call again, reject to skip it, or answer with its result."
        )
        record = await self._ask(prompt, "approve", "reject", "answer")
        decision = None if record.error is not None else record.value["decision"]
        if decision == "answer":
            return str(record.value["content"] or "")
        if decision != "approve":
            raise ToolError(f"It is unknown whether {self.name} took effect.")
        again = await self._call(args, call_id)
        if again.error is not None:
            raise ToolError(again.error.message)
        return str(again.value)

    def _take_session(self) -> None:
        """Use the session that earlier calls started, or start one.

        Raises:
            SessionLost: The session was in another process.
        """
        if not self._journal.tools.sessions.setdefault(self._session_of, True):
            raise SessionLost(
                f"The session of {self.name} was lost with its worker; the next call starts a new "
                "one."
            )

    async def _perform(
        self, call_context: CallContext, args: JsonMapping, call_id: str | None
    ) -> Outcome:
        before = self._journal.tools.states.get(f"{self._path}/{self.name}", {})
        files = RunArtifacts(call_context)
        context = ToolContext(
            state=json.loads(json.dumps(before)) if before else {},
            artifacts=files,
            call_id=call_context.info.call_id,
            run_id=call_context.info.run_id,
            agent=self._path,
            tenant=call_context.info.tenant,
            on_progress=_reporter(call_context, self.name),
        )
        told: JsonObject = {"tool_call_id": call_id}
        try:
            if self._inner.session == "stateful":
                self._take_session()
            async with borrowed(self._inner, context.state):
                value = await self._inner.run_json(args, call_id=call_id, context=context)
            text = encodable(str(self._inner.return_value_as_string(value)))
            after = checked_state(context.state, tool=self.name)
            outcome = recorded(
                Outcome(
                    value=text,
                    state=None if after == before else after,
                    detail={**told, "result": text},
                )
            )
            outcome.artifacts = await files.store()
        except BaseException as error:  # an exception of any class is the outcome of its call
            if call_context.is_cancelled and isinstance(error, asyncio.CancelledError):
                raise
            log_failure(error, call_context.info, tool=self.name)
            told["result"] = exception_text(error)
            return failed_outcome(error, agent=call_context.info.agent, **told)
        return outcome

    def return_value_as_string(self, value: Any) -> str:
        """The recorded text."""
        return str(value)


class ApprovedDelegate(StreamTool):
    """An agent or a team as a tool of one agent of one run; a person has to agree to each call."""

    def __init__(self, tool: "TaskRunnerTool", journal: Journal, *, path: str) -> None:
        super().__init__(tool.name, tool.description)
        self._inner = tool
        self._journal = journal
        self._path = path

    @property
    def schema(self) -> ToolSchema:
        """The tool as a model sees it."""
        return self._inner.schema

    async def run_json_stream(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Ask a person, then run the task.

        Raises:
            ToolError: The person rejected the call.
        """
        await _approval(self._journal, self._path, self.name, args, call_id)
        stream = self._inner.run_json_stream(args, cancellation_token, call_id=call_id)
        async with aclosing(stream):
            async for item in stream:
                yield item

    def return_value_as_string(self, value: Any) -> str:
        """The tool's own text for a value."""
        return self._inner.return_value_as_string(value)

    async def save_state_json(self) -> JsonMapping:
        """The state of the agent or team."""
        return await self._inner.save_state_json()

    async def load_state_json(self, state: JsonMapping) -> None:
        """Let the agent or team continue from that state."""
        await self._inner.load_state_json(state)

    async def reset(self) -> None:
        """Let the agent or team forget everything."""
        await self._inner.reset()


async def _ask(journal: Journal, path: str, prompt: str, *decisions: Decision) -> CallRecord:
    question = Question(agent=path, type="approval", prompt=prompt, decisions=decisions)
    return await journal.ask(question)


async def _approval(
    journal: Journal, path: str, tool: str, args: JsonMapping, call_id: str | None
) -> None:
    """Return when a person has approved the call.

    Raises:
        NotApproved: The person rejected the call, or did not answer in time.
    """
    agent = agent_name(path)
    prompt = f"May {agent} call {tool}({to_json(args).decode()})?"
    record = await _ask(journal, path, prompt, "approve", "reject")
    approved = record.error is None and record.value["decision"] == "approve"
    event_type = "tool.call.approved" if approved else "tool.call.denied"
    journal.emit(event_type, agent=agent, data={"tool_call_id": call_id, "tool": tool})
    if not approved:
        reason = record.error.message if record.error else record.value["content"]
        raise NotApproved(f"The call was not approved. {reason or ''}".rstrip())


def _reporter(call_context: CallContext, tool: str) -> Any:
    real = asyncio.get_running_loop()

    def report(note: str, percent: float | None) -> None:
        data = {"tool": tool, "note": note, "percent": percent}
        real.call_soon_threadsafe(call_context.emit, "tool.call.progressed", data)

    return report
