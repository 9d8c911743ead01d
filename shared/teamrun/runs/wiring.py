"""Model clients and tools of a run: each call goes through the journal.

These are the wrappers that make a team durable; the team itself does not know of them.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, cast

from pydantic_core import to_json

from teamrun.agents.base import BaseChatAgent
from teamrun.components.definitions import UserProxyDefinition
from teamrun.components.wiring import InputFunc
from teamrun.core.call import agent_name
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import (
    SessionLost,
    ToolError,
    Unanswered,
    UnknownOutcome,
    Unrecordable,
    UsageError,
)
from teamrun.messages.recordable import encodable, exception_text, recordable
from teamrun.models.base import ChatCompletionClient
from teamrun.models.prices import Price, price_of
from teamrun.runs.artifacts import RunArtifacts
from teamrun.runs.entries import CallRecord, Decision, ErrorRecord
from teamrun.runs.journal import Desk, Journal, Outcome, Question
from teamrun.runs.outcomes import failed_outcome, log_failure, recorded
from teamrun.runs.own_agents import InnerModel, JournaledAgent
from teamrun.runs.recorded_models import JournaledModel, PriceOf
from teamrun.runs.stateful import borrowed
from teamrun.tools.base import Tool
from teamrun.tools.context import ToolContext
from teamrun.tools.schema import ToolSchema

__all__ = ["JournalWiring", "JournaledTool"]


def _by_model(profile: str, model: str | None) -> Price | None:
    return price_of(model)


_NO_OPTIONS: Mapping[str, Any] = {}


class JournalWiring:
    """What a team builder asks for each leaf of a team that runs as a job."""

    def __init__(
        self,
        journal: Journal,
        *,
        prices: PriceOf = _by_model,
        options: Mapping[str, Any] = _NO_OPTIONS,
    ) -> None:
        self._journal = journal
        self._prices = prices
        self._options = options

    def model(self, path: str, profile: str, client: ChatCompletionClient) -> ChatCompletionClient:
        """A client whose calls are recorded."""
        return JournaledModel(
            client,
            self._journal,
            path=path,
            profile=profile,
            prices=self._prices,
            options=self._options,
        )

    def inner_model(
        self, path: str, profile: str, client: ChatCompletionClient
    ) -> ChatCompletionClient:
        """A client of an agent whose code is its own; its calls are recorded inside of a turn."""
        return InnerModel(
            client,
            self._journal,
            path=path,
            profile=profile,
            prices=self._prices,
            options=self._options,
        )

    def agent(self, path: str, agent: BaseChatAgent) -> BaseChatAgent:
        """An agent whose turns are calls."""
        return JournaledAgent(agent, self._journal, path=path)

    def tool(self, path: str, tool: Tool) -> Tool:
        """A tool whose calls are recorded."""
        return JournaledTool(tool, self._journal, path=path)

    def input(
        self, path: str, func: InputFunc | None, person: UserProxyDefinition
    ) -> InputFunc | None:
        """A function that asks whoever attends the run, over HTTP."""
        seconds = person.expires_in_seconds
        expires_in = None if seconds is None else timedelta(seconds=seconds)

        async def ask(prompt: str, token: CancellationToken | None = None) -> str:
            question = Question(
                agent=path,
                type="input",
                prompt=prompt,
                schema=person.input_schema,
                expires_in=expires_in,
            )
            return await ask_person(self._journal, question, default=person.default_answer)

        return ask


async def ask_person(journal: Journal, question: Question, *, default: Any = None) -> str:
    """The text of a person's answer; where the question has a schema, the answer's data as JSON.

    Args:
        journal: Of the run.
        question: What is asked.
        default: The answer where nobody gave one in time.

    Raises:
        Unanswered: Nobody answered in time, and there is no default.
    """
    record = await journal.ask(question)
    if record.error is None:
        given = record.value["content" if question.schema is None else "data"]
    elif default is not None:
        given = default
    else:
        raise Unanswered(record.error.message)
    return str(given or "") if question.schema is None else to_json(given).decode()


class JournaledTool(Tool):
    """A tool of one agent of one run; its value is the text that the model is told."""

    def __init__(self, tool: Tool, journal: Journal, *, path: str) -> None:
        super().__init__(tool.name, tool.description)
        self._inner = tool
        self._journal = journal
        self._path = path

    @property
    def schema(self) -> ToolSchema:
        """The tool as a model sees it."""
        return self._inner.schema

    @property
    def _agent(self) -> str:
        return agent_name(self._path)

    async def run_json(
        self,
        args: Mapping[str, Any],
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
        context: ToolContext | None = None,
    ) -> str:
        """Call the tool, or take what it returned before.

        Raises:
            ToolError: The tool failed, now or then.
        """
        if call_id is not None:
            self._journal.journaled_tools.add(call_id)
        if self._inner.needs_approval:
            await self._approval(args, call_id)
        record = await self._call(args, call_id)
        if record.error is not None and record.error.code == "outcome_unknown":
            return await self._after_unknown(record.error, args, call_id)
        if record.error is not None and record.error.code == SessionLost.code:
            lost = ToolError if self._inner.on_lost == "tell" else SessionLost
            raise lost(record.error.message)
        if record.error is not None:
            raise ToolError(record.error.message)
        return str(record.value)

    async def _call(self, args: Mapping[str, Any], call_id: str | None) -> CallRecord:
        async def perform(desk: Desk) -> Outcome:
            return await self._perform(desk, args, call_id)

        position = self._journal.position(self._path, "tool")
        intent = None
        if self._inner.effects == "write":
            intent = sha256(to_json(args)).hexdigest()
        record = await self._journal.call(
            self._path, "tool", self.name, position, perform, intent=intent
        )
        if record.error is not None and record.error.code == SessionLost.code:
            self._journal.sessions.pop(self._path, None)
        elif self._inner.session == "stateful":
            self._journal.sessions.setdefault(self._path, False)  # what a replay is told of
        return record

    async def _approval(self, args: Mapping[str, Any], call_id: str | None) -> None:
        text = to_json(args).decode()
        prompt = f"May {self._agent} call {self.name}({text})?"
        record = await self._ask(prompt, "approve", "reject")
        approved = record.error is None and record.value["decision"] == "approve"
        told = "tool.call.approved" if approved else "tool.call.denied"
        data = {"tool_call_id": call_id, "tool": self.name}
        self._journal.emit(told, agent=self._agent, data=data)
        if not approved:
            said = record.error.message if record.error else record.value["content"]
            raise ToolError(f"The call was not approved. {said or ''}".rstrip())

    async def _ask(self, prompt: str, *decisions: Decision) -> CallRecord:
        question = Question(agent=self._path, type="approval", prompt=prompt, decisions=decisions)
        return await self._journal.ask(question)

    async def _after_unknown(
        self, error: ErrorRecord, args: Mapping[str, Any], call_id: str | None
    ) -> str:
        match self._inner.on_unknown:
            case "tell":
                raise ToolError(error.message)
            case "fail":
                raise UnknownOutcome(f"{self.name}: {error.message}")
            case "ask":
                return await self._ask_after_unknown(args, call_id)

    async def _ask_after_unknown(self, args: Mapping[str, Any], call_id: str | None) -> str:
        prompt = (
            f"Nobody knows whether {self.name}({to_json(args).decode()}) was carried out. Approve "
            "to make the call again, reject to leave it, or answer with its result."
        )
        record = await self._ask(prompt, "approve", "reject", "answer")
        decision = None if record.error is not None else record.value["decision"]
        if decision == "answer":
            return str(record.value["content"] or "")
        if decision != "approve":
            raise ToolError(f"Nobody knows whether {self.name} was carried out.")
        again = await self._call(args, call_id)
        if again.error is not None:
            raise ToolError(again.error.message)
        return str(again.value)

    def _take_session(self) -> None:
        """Use the session that earlier calls began, or begin one.

        Raises:
            SessionLost: It was in another process.
        """
        if not self._journal.sessions.setdefault(self._path, True):
            raise SessionLost(
                f"The session of {self.name} was lost with the worker that held it; the next call "
                "begins a new one."
            )

    async def _perform(self, desk: Desk, args: Mapping[str, Any], call_id: str | None) -> Outcome:
        before = self._journal.tool_states.get(f"{self._path}/{self.name}", {})
        files = RunArtifacts(desk)
        context = ToolContext(
            state=json.loads(json.dumps(before)),
            artifacts=files,
            call_id=desk.info.call_id,
            run_id=desk.info.run_id,
            agent=self._path,
            on_progress=_reporter(desk, self.name),
        )
        told: dict[str, Any] = {"tool_call_id": call_id}
        try:
            if self._inner.session == "stateful":
                self._take_session()
            async with borrowed(self._inner, context.state):
                value = await self._inner.run_json(args, call_id=call_id, context=context)
            text = encodable(str(self._inner.return_value_as_string(value)))
            after = _checked_state(context.state, self.name)
            outcome = recorded(
                Outcome(
                    value=text,
                    state=None if after == before else after,
                    detail={**told, "result": text},
                )
            )
            outcome.artifacts = await files.store()
        except BaseException as error:  # an exception of any class is the outcome of its call
            if desk.is_cancelled and isinstance(error, asyncio.CancelledError):
                raise
            log_failure(error, desk.info, tool=self.name)
            told["result"] = exception_text(error)
            return failed_outcome(error, agent=desk.info.agent, **told)
        return outcome

    def return_value_as_string(self, value: Any) -> str:
        """The recorded text."""
        return str(value)


def _reporter(desk: Desk, tool: str) -> Any:
    real = asyncio.get_running_loop()

    def report(note: str, percent: float | None) -> None:
        data = {"tool": tool, "note": note, "percent": percent}
        real.call_soon_threadsafe(desk.emit, "tool.call.progressed", data)

    return report


def _checked_state(state: Any, tool: str) -> dict[str, Any]:
    try:
        kept = recordable(state, exact=True)
    except Unrecordable as error:
        raise UsageError(
            f"Tool {tool!r} left something in ToolContext.state that is no JSON: {error} "
            "Keep JSON data there, and files in ToolContext.artifacts."
        ) from error
    if not isinstance(kept, dict):
        raise UsageError(
            f"Tool {tool!r} replaced ToolContext.state by a {type(state).__name__}; it is a dict."
        )
    return cast("dict[str, Any]", kept)
