"""Custom agents in a run: one turn is one call.

A custom agent may read files and call services itself, so its code is not run code. A turn is
executed once, recorded together with the agent's state, and never repeated. Calls of the model
client that the agent was given are recorded separately. If a worker is lost in the middle of a
turn, the turn is executed again, and calls that had been answered are not paid for twice.
"""

import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from hashlib import sha256
from typing import Any, cast

from pydantic_core import to_json

from teamrun.agents.base import BaseChatAgent, checked_response, last_response
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import AnyMessage, Response
from teamrun.errors import AgentFailed, ModelError, UnknownOutcome, UsageError
from teamrun.json_types import JsonMapping
from teamrun.messages.chat import BaseChatMessage
from teamrun.messages.events import BaseAgentEvent, ModelClientStreamingChunkEvent
from teamrun.messages.factory import MessageFactory
from teamrun.messages.llm import CreateResult
from teamrun.messages.path import mark_inside
from teamrun.runs.durable.models import Ask, JournaledModel, result_of
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import CallContext, Outcome
from teamrun.runs.log.entries import CallRecord, ErrorRecord

__all__ = ["InnerModel", "JournaledAgent"]


class _AgentTurn:
    """One turn in progress, with the answers recorded before a previous worker was lost."""

    def __init__(self, call_context: CallContext, known: Sequence[CallRecord], made: int) -> None:
        self.call_context = call_context
        self._made = made
        self._known: defaultdict[str | None, list[CallRecord]] = defaultdict(list)
        for record in known:
            if record.error is None:
                self._known[record.arguments_digest].append(record)

    def position(self) -> int:
        """Reserve the number of the agent's next model call."""
        self._made += 1
        return self._made - 1

    def answer(self, arguments: str) -> CallRecord | None:
        """The recorded answer to this request; each record is used once."""
        known = self._known[arguments]
        return known.pop(0) if known else None


_turn: ContextVar[_AgentTurn | None] = ContextVar("teamrun_turn", default=None)


class InnerModel(JournaledModel):
    """The model client of a custom agent, for use in its turns."""

    async def _call(self, ask: Ask, *asked: Any) -> CreateResult:
        turn = _turn.get()
        if turn is None:
            text = "A custom agent may use its model client only in on_messages."
            raise UsageError(text, agent=self._path)
        messages, tools, tool_choice, json_output, options = asked
        form = json_output.__name__ if isinstance(json_output, type) else str(json_output)
        request = [self._profile, messages, tools, tool_choice, form, options]
        arguments = sha256(to_json(request)).hexdigest()
        if (known := turn.answer(arguments)) is not None:
            return result_of(known)
        ask_once = self._performing(ask)

        async def perform(call_context: CallContext) -> Outcome:
            call_context.emit("model.call.started", {"model": self._profile})
            return await ask_once(call_context)

        made = await turn.call_context.make(
            "model", self._profile, turn.position(), perform, arguments
        )
        return result_of(made)


class JournaledAgent(BaseChatAgent):
    """Wraps a custom agent for one run.

    If the `effects` of its class is `write`, a turn whose outcome is unknown is not repeated.
    """

    def __init__(self, agent: BaseChatAgent, journal: Journal, *, path: str) -> None:
        super().__init__(agent.name, agent.description)
        self._inner = agent
        self._journal = journal
        self._path = path
        self._is_reset = False
        self._messages = MessageFactory()
        for message_type in agent.produced_message_types:
            if not self._messages.is_registered(message_type):
                self._messages.register(message_type)

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The message types of the wrapped agent."""
        return self._inner.produced_message_types

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        """Let the agent answer, or return its recorded answer."""
        return await last_response(self.on_messages_stream(messages, cancellation_token))

    async def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        """Let the agent answer, or return its recorded answer.

        Raises:
            ModelError: A model failed and the agent did not handle it; a retry may succeed.
            UnknownOutcome: The turn has outside effects, and its worker was lost in the middle.
            AgentFailed: The agent raised another exception.
        """
        journal, received = self._journal, list(messages)

        async def perform(call_context: CallContext) -> Outcome:
            return await self._perform(call_context, received)

        position = journal.position(self._path, "agent")
        digest = None
        if getattr(self._inner, "effects", "none") == "write":
            digest = sha256(to_json([message.dump() for message in received])).hexdigest()
        record = await journal.call(
            self._path, "agent", self.name, position, perform, arguments_digest=digest
        )
        self._is_reset = False
        if record.error is not None:
            raise _raised(record.error, self.name)
        inner = [self._read(data) for data in record.value["inner"]]
        for message in inner:
            if message.source != self.name:  # of an agent or a team that it has called
                mark_inside(message, self.name)
            yield message
        answer = self._read(record.value["message"])
        assert isinstance(answer, BaseChatMessage), "an answer is a message"
        yield Response(chat_message=answer, inner_messages=inner)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Reset the agent before its next turn."""
        self._journal.tools.states.pop(self._key, None)
        self._is_reset = True

    async def save_state(self) -> JsonMapping:
        """The state of the agent after its last turn."""
        return self._journal.tools.states.get(self._key, {})

    @property
    def _key(self) -> str:
        return f"{self._path}/{self.name}"

    def _read(self, data: JsonMapping) -> AnyMessage:
        message = self._messages.create(data)
        assert isinstance(message, BaseChatMessage | BaseAgentEvent), "agents produce nothing else"
        return message

    async def _perform(
        self, call_context: CallContext, messages: Sequence[BaseChatMessage]
    ) -> Outcome:
        journal, before = self._journal, self._journal.tools.states.get(self._key)
        known = journal.inner.of(call_context.info.call_id)
        made = journal.inner.made(self._path) + len(known)
        _turn.set(_AgentTurn(call_context, known, made))
        if self._is_reset:
            await self._inner.on_reset(CancellationToken())
        elif before is not None:
            await self._inner.load_state(before)
        response, told = await self._answer(call_context, messages)
        after = json.loads(to_json(await self._inner.save_state()))
        return Outcome(
            value={
                "message": response.chat_message.dump(),
                "inner": [message.dump() for message in told],
            },
            state=None if after == before else after,
        )

    async def _answer(
        self, call_context: CallContext, messages: Sequence[BaseChatMessage]
    ) -> tuple[Response, list[AnyMessage]]:
        told: list[AnyMessage] = []
        response: Response | None = None
        async with aclosing(self._inner.on_messages_stream(messages, CancellationToken())) as turn:
            async for item in turn:
                if isinstance(item, Response):
                    response = item
                elif isinstance(item, ModelClientStreamingChunkEvent):
                    call_context.publish_delta(item.content)
                elif isinstance(cast("object", item), BaseAgentEvent | BaseChatMessage):
                    told.append(item)
                else:
                    kind = type(item).__name__
                    raise AgentFailed(f"Agent {self.name!r} yielded {kind}, which is no message.")
        if response is None:
            raise AgentFailed(f"The turn of agent {self.name!r} ended without a Response.")
        return checked_response(response, agent=self.name), told


def _raised(error: ErrorRecord, agent: str) -> Exception:
    if error.type == "ModelError":
        return ModelError(error.message, status_code=error.status_code, retryable=error.retryable)
    if error.code == UnknownOutcome.code:
        return UnknownOutcome(f"{agent}: {error.message}")
    return AgentFailed(error.message)
