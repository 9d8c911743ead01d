"""Retries of model calls: whether, and after which delay.

`RetryingModel` is put around a client that makes one attempt. A policy returns the delay as a
value; `Retries` counts the attempts of one call and sleeps. The server's headers (`Retry-After`,
`retry-after-ms`, `x-should-retry`) reach the policy as `ModelError.retryable` and
`ModelError.data["retry_after"]`, set where the error was mapped.
"""

import logging
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import BaseModel

from teamrun.core import event_log
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.core.clock import Clock, SystemClock
from teamrun.errors import CircuitOpen, ModelError
from teamrun.json_types import JsonMapping
from teamrun.messages.llm import CreateResult, LLMMessage
from teamrun.models.attempts import broken_off, on_retry
from teamrun.models.base import ChatCompletionClient, ToolChoice
from teamrun.models.tool_names import HasSchema, schema_of
from teamrun.models.wrapper import ModelWrapper
from teamrun.tools.schema import ToolSchema

__all__ = [
    "Retries",
    "RetryPolicy",
    "RetryingModel",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How patient a client is: a number of retries, and a time within which the last may start."""

    max_retries: int = 5
    first_delay: timedelta = timedelta(seconds=0.5)
    max_delay: timedelta = timedelta(seconds=30)
    """The longest wait without a server's request; a server may request a longer one."""
    max_elapsed: timedelta = timedelta(minutes=5)
    """No attempt starts later than this after the first; a longer `Retry-After` fails at once."""
    jitter: float = 0.25
    """A wait is made longer by a random part of itself, up to this, so that runs spread out."""

    def delay(self, attempts: int, error: ModelError, *, elapsed: timedelta) -> timedelta | None:
        """How long to wait before the next attempt; `None`: give up.

        Args:
            attempts: How many attempts have failed, this one included.
            error: The error of the last one.
            elapsed: Time since the first attempt started.
        """
        if not error.retryable or attempts > self.max_retries or isinstance(error, CircuitOpen):
            return None
        asked: float | None = error.data.get("retry_after")
        if not asked:  # 0, or a date in the past, would repeat the call without any pause
            wait = min(self.first_delay * 2 ** min(attempts - 1, 30), self.max_delay)
        else:
            wait = timedelta(seconds=asked)
        wait *= 1 + self.jitter * random.random()
        return None if elapsed + wait > self.max_elapsed else wait


@dataclass(slots=True)
class Retries:
    """The retries of one call."""

    policy: RetryPolicy
    clock: Clock = field(default_factory=SystemClock)
    attempts: int = field(default=0, init=False)
    _start: datetime = field(init=False)
    _waited: timedelta = field(default=timedelta(), init=False)
    """Time in which attempts waited for their turn (`pacing`), which is no time of the call."""

    def __post_init__(self) -> None:
        self._start = self.clock.now()

    async def begin(self) -> None:
        """Return when the first attempt may start: at once, unless a stream has broken off before.

        Raises:
            ModelError: The error that broke off the stream, if there is no other attempt.
        """
        if (error := broken_off.get()) is None:
            return
        broken_off.set(None)
        self.attempts = error.data.get("attempts", 1) - 1
        await self.wait(error)

    async def wait(self, error: ModelError) -> None:
        """Return when the next attempt may start.

        Raises:
            ModelError: `error` itself, if there is no other attempt.
        """
        self.attempts += 1
        self._waited += timedelta(seconds=error.data.pop("waited_s", 0.0))
        elapsed = self.clock.now() - self._start - self._waited
        delay = self.policy.delay(self.attempts, error, elapsed=elapsed)
        if delay is None:
            error.data["attempts"] = self.attempts
            raise error
        logger.warning(
            "A model call failed and will be retried",
            extra={
                "action": "model.call_retried",
                "attempt": self.attempts,
                "delay_s": delay.total_seconds(),
                "status_code": error.status_code,
            },
        )
        if (tell := on_retry.get()) is not None:
            tell(self.attempts, delay, error)
        await self.clock.sleep(delay.total_seconds())


class RetryingModel(ModelWrapper):
    """Repeats the calls of a client that failed transiently (`ModelError.retryable`).

    Args:
        wrapped: A client that makes one attempt at each call.
        policy: When a call is repeated; by default at most five times within five minutes.
        max_retries: How often at most, in place of the policy's number.
        clock: For tests.
    """

    def __init__(
        self,
        wrapped: ChatCompletionClient,
        policy: RetryPolicy | None = None,
        max_retries: int | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(wrapped)
        policy = policy or RetryPolicy()
        self._policy = policy if max_retries is None else replace(policy, max_retries=max_retries)
        self._clock = clock or SystemClock()

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema | HasSchema] = (),
        tool_choice: ToolChoice | HasSchema = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """Ask the wrapped client until it answers.

        Args:
            messages: The conversation.
            tools: The tools that the model may call: their schemas, or the tools themselves.
            tool_choice: Which of them it may, must or must not call.
            json_output: Ask for JSON, or for JSON of that type.
            extra_create_args: Arguments of this call alone.
            cancellation_token: Ends the call.

        Raises:
            ModelError: The last failure; `data["attempts"]` is the number of attempts.
            UsageError: The model does not support the request.
        """
        schemas = [schema_of(tool) for tool in tools]
        choice = tool_choice if isinstance(tool_choice, str) else schema_of(tool_choice)
        retries = Retries(self._policy, self._clock)
        with cancelled_by(cancellation_token):
            await retries.begin()
        while True:
            try:
                result = await self.wrapped.create(
                    messages,
                    tools=schemas,
                    tool_choice=choice,
                    json_output=json_output,
                    extra_create_args=extra_create_args,
                    cancellation_token=cancellation_token,
                )
            except ModelError as error:
                with cancelled_by(cancellation_token):
                    await retries.wait(error)
            else:
                if event_log.is_wanted():
                    event_log.log_model_call(messages, result)
                return result

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema | HasSchema] = (),
        tool_choice: ToolChoice | HasSchema = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Ask the wrapped client until it answers; yields text as it arrives, then the result.

        Thoughts that the server shows come first, between `<think>` and `</think>`. Text that was
        yielded cannot be taken back, so a failure after it is raised, and the caller decides.

        The arguments are those of `create`.

        Raises:
            ModelError: The last failure, or the first one after text was yielded;
                `data["attempts"]` is the number of attempts.
            UsageError: The model does not support the request.
        """
        schemas = [schema_of(tool) for tool in tools]
        choice = tool_choice if isinstance(tool_choice, str) else schema_of(tool_choice)
        retries = Retries(self._policy, self._clock)
        spoken = False
        if event_log.is_wanted():
            event_log.log_stream_start(messages)
        while True:
            try:
                stream = self.wrapped.create_stream(
                    messages,
                    tools=schemas,
                    tool_choice=choice,
                    json_output=json_output,
                    extra_create_args=extra_create_args,
                    cancellation_token=cancellation_token,
                )
                async with aclosing(stream) as pieces:
                    async for piece in pieces:
                        spoken = True
                        if isinstance(piece, CreateResult) and event_log.is_wanted():
                            event_log.log_stream_end(piece)
                        yield piece
                return
            except ModelError as error:
                if spoken:
                    error.data["attempts"] = retries.attempts + 1
                    raise
                with cancelled_by(cancellation_token):
                    await retries.wait(error)
