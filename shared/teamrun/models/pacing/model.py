"""A model client whose calls wait for their turn.

It belongs inside the retries: a call that the server rejects (429) waits and is made again, which
costs no attempt.
"""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta
from types import TracebackType

from pydantic import BaseModel

from teamrun.core.call import current_call
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ModelError
from teamrun.json_types import JsonMapping
from teamrun.messages.llm import CreateResult, LLMMessage, RequestUsage
from teamrun.models.base import ChatCompletionClient, ToolChoice
from teamrun.models.pacing.pacer import Pacer
from teamrun.models.pacing.waits import on_wait
from teamrun.models.retry import on_retry
from teamrun.models.wrapper import ModelWrapper
from teamrun.tools.schema import ToolSchema

__all__ = ["PATIENCE", "PacedModel"]

PATIENCE = timedelta(minutes=15)
"""How long a call is made again by default, from its first rejection on."""

_FIRST_PAUSE_S = 1.0
_MOST_PAUSE_S = 30.0
_TOO_MANY_REQUESTS = 429
_AVERAGE = 0.2
"""The weight of the newest answer in the average number of completion tokens."""


class PacedModel(ModelWrapper):
    """Makes the calls of a client when the pacer lets them start.

    Args:
        wrapped: A client that makes one attempt at each call.
        pacer: Of the profile; all clients of the profile share it.
        patience: How long a call that the server rejects is made again.
    """

    def __init__(
        self, wrapped: ChatCompletionClient, pacer: Pacer, *, patience: timedelta = PATIENCE
    ) -> None:
        super().__init__(wrapped)
        self._pacer = pacer
        self._patience_s = patience.total_seconds()

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """Ask the wrapped client when it is this call's turn, until the server accepts the call.

        Raises:
            ModelError: The call failed, or the server has rejected it for too long.
        """
        turn = self._turn(messages, tools, cancellation_token)
        while True:
            async with turn:
                result = await self.wrapped.create(
                    messages,
                    tools=tools,
                    tool_choice=tool_choice,
                    json_output=json_output,
                    extra_create_args=extra_create_args,
                    cancellation_token=cancellation_token,
                )
                turn.used(result.usage)
                return result

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same; a stream is not repeated after it has yielded text.

        Raises:
            ModelError: As for `create`.
        """
        turn = self._turn(messages, tools, cancellation_token)
        while True:
            async with turn:
                stream = self.wrapped.create_stream(
                    messages,
                    tools=tools,
                    tool_choice=tool_choice,
                    json_output=json_output,
                    extra_create_args=extra_create_args,
                    cancellation_token=cancellation_token,
                )
                async with aclosing(stream) as pieces:
                    async for piece in pieces:
                        turn.has_spoken = True
                        if isinstance(piece, CreateResult):
                            turn.used(piece.usage)
                        yield piece
                return

    def _turn(
        self,
        messages: Sequence[LLMMessage],
        tools: Sequence[ToolSchema],
        token: CancellationToken | None,
    ) -> "_Turn":
        return _Turn(self, messages, tools, token)

    def estimate(self, messages: Sequence[LLMMessage], tools: Sequence[ToolSchema]) -> int:
        """The tokens of a call before it is made: its prompt, and an answer of average length."""
        return self.count_tokens(messages, tools=tools) + round(self._pacer.completion_tokens)

    @property
    def pacer(self) -> Pacer:
        """The pacer of the profile."""
        return self._pacer

    @property
    def patience_s(self) -> float:
        """How long a call that the server rejects is made again, in seconds."""
        return self._patience_s


class _Turn:
    """The turns of one call: the block is its attempt, and a rejection ends it without an error."""

    __slots__ = (
        "_estimated",
        "_first_rejected_at",
        "_messages",
        "_model",
        "_rejections",
        "_started_at",
        "_token",
        "_tools",
        "_used",
        "_waited_s",
        "has_spoken",
    )

    def __init__(
        self,
        model: PacedModel,
        messages: Sequence[LLMMessage],
        tools: Sequence[ToolSchema],
        token: CancellationToken | None,
    ) -> None:
        self._model = model
        self._messages = messages
        self._tools = tools
        self._token = token
        self._started_at = self._first_rejected_at = self._waited_s = 0.0
        self._rejections = 0
        self._estimated = 0
        self._used: int | None = None
        self.has_spoken = False
        """Whether the answer has begun, so that the call cannot be repeated."""

    def used(self, usage: RequestUsage) -> None:
        """Note the tokens of the answer."""
        self._used = usage.prompt_tokens + usage.completion_tokens
        pacer = self._model.pacer
        if pacer.limits.tokens_per_minute is not None:
            change = usage.completion_tokens - pacer.completion_tokens
            pacer.completion_tokens += change * _AVERAGE if pacer.completion_tokens else change

    async def __aenter__(self) -> None:
        pacer, call = self._model.pacer, current_call.get()
        if pacer.limits.tokens_per_minute is not None:
            self._estimated = self._model.estimate(self._messages, self._tools)
        asked_at = time.monotonic()
        try:
            with cancelled_by(self._token):
                await pacer.enter(
                    tokens=self._estimated,
                    is_batch=call is not None and call.is_batch,
                    is_first=self._rejections > 0,
                )
        finally:
            self._started_at = time.monotonic()
            waited_s = self._started_at - asked_at
            self._waited_s += waited_s
            if (tell := on_wait.get()) is not None:
                tell(waited_s)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> bool:
        pacer = self._model.pacer
        used = self._estimated if self._used is None and error is None else (self._used or 0)
        correction, self._estimated = used - self._estimated, 0
        if not isinstance(error, ModelError):
            pacer.leave(correction=correction)
            return False
        pause_s = self._pause_after(error)
        if pause_s is None:
            pacer.leave(correction=correction)
            if error.status_code != _TOO_MANY_REQUESTS:
                error.data["waited_s"] = self._waited_s
            return False
        self._rejections += 1
        if (tell := on_retry.get()) is not None:
            tell(self._rejections, timedelta(seconds=pause_s), error)
        pacer.reject(pause_s, started_at=self._started_at, correction=correction)
        return True

    def _pause_after(self, error: ModelError) -> float | None:
        """How long no call starts after this error; None if the call is not made again."""
        if error.status_code != _TOO_MANY_REQUESTS or not error.retryable or self.has_spoken:
            return None
        now = time.monotonic()
        if not self._rejections:
            self._first_rejected_at = now
        asked: float | None = error.data.get("retry_after")
        pause_s = asked or min(_FIRST_PAUSE_S * 2 ** min(self._rejections, 30), _MOST_PAUSE_S)
        rejected_for_s = now - self._first_rejected_at
        return pause_s if rejected_for_s + pause_s <= self._model.patience_s else None
