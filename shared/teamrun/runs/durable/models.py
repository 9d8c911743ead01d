"""Model clients of a run: each call goes through the journal."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from teamrun.core.cancellation import CancellationToken
from teamrun.errors import CircuitOpen, ModelError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.llm import CreateResult, LLMMessage
from teamrun.messages.recordable_result import recordable_result
from teamrun.models.attempts import answering, broken_off, on_fallback, on_retry
from teamrun.models.base import ChatCompletionClient, ToolChoice
from teamrun.models.pacing.waits import on_wait
from teamrun.models.prices import Price
from teamrun.models.wrapper import ModelWrapper
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.outcomes import error_record
from teamrun.runs.engine.protocol import CallContext, Outcome, Perform
from teamrun.runs.log.entries import CallRecord
from teamrun.tools.schema import ToolSchema

__all__ = ["Ask", "JournaledModel", "PriceOf", "result_of"]

PriceOf = Callable[[str, str | None], Price | None]
"""The price of a call, by the profile and the name of the model that answered."""


Ask = Callable[[CallContext], Awaitable[CreateResult]]
"""Makes one request to the model."""


def result_of(answer: CallRecord | Outcome) -> CreateResult:
    """The model's answer.

    Raises:
        ModelError: The call failed, now or when it was recorded.
    """
    if answer.error is not None:
        kind = CircuitOpen if answer.error.code == CircuitOpen.code else ModelError
        raise kind(
            answer.error.message,
            status_code=answer.error.status_code,
            retryable=answer.error.retryable,
        )
    value = answer.value
    return value if isinstance(value, CreateResult) else CreateResult.model_validate(value)


class JournaledModel(ModelWrapper):
    """A model client of one agent of one run."""

    def __init__(
        self,
        client: ChatCompletionClient,
        journal: Journal,
        *,
        path: str,
        profile: str,
        prices: PriceOf,
    ) -> None:
        super().__init__(client)
        self._prices = prices
        self._journal = journal
        self._path = path
        self._profile = profile

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
        """Call the model, or return its recorded answer."""

        async def ask(call_context: CallContext) -> CreateResult:
            return await self.wrapped.create(
                messages,
                tools=tools,
                tool_choice=tool_choice,
                json_output=json_output,
                extra_create_args=extra_create_args,
            )

        return await self._call(ask, messages, tools, tool_choice, json_output, extra_create_args)

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
        """Call the model; its text is streamed to live subscribers, the run gets the result."""
        arguments: JsonObject = {
            "tools": tools,
            "tool_choice": tool_choice,
            "json_output": json_output,
            "extra_create_args": extra_create_args,
        }

        async def ask(call_context: CallContext) -> CreateResult:
            spoken = False
            try:
                async for chunk in self.wrapped.create_stream(messages, **arguments):
                    if not isinstance(chunk, str):
                        return chunk
                    call_context.publish_delta(chunk)
                    spoken = True
                raise ModelError("The model's stream ended without a result.", retryable=True)
            except ModelError as error:
                if not (spoken and error.retryable):  # otherwise the client has retried already
                    raise
                # A client does not retry after it has yielded text, which it cannot take back.
                # Here the text was only shown live, so a retry is possible.
                broken_off.set(error)
                return await self.wrapped.create(messages, **arguments)

        yield await self._call(ask, messages, tools, tool_choice, json_output, extra_create_args)

    async def _call(self, ask: Ask, *asked: Any) -> CreateResult:
        position = self._journal.position(self._path, "model")
        self._journal.emit(
            "model.call.started",
            agent=self._path.rpartition("/")[2],
            data={"call_id": f"{self._path}/model:{position}", "model": self._profile},
        )
        perform = self._performing(ask)
        record = await self._journal.call(self._path, "model", self._profile, position, perform)
        return result_of(record)

    def _performing(self, ask: Ask) -> Perform:
        async def perform(call_context: CallContext) -> Outcome:
            def fell_back(profile: str, following: str, error: ModelError) -> None:
                call_context.emit(
                    "model.call.fell_back",
                    {"model": profile, "fallback": following, "error": error_record(error)},
                )

            def retried(attempt: int, delay: timedelta, error: ModelError) -> None:
                call_context.emit(
                    "model.call.retried",
                    {
                        "model": answering.get() or self._profile,
                        "attempt": attempt,
                        "delay_seconds": round(delay.total_seconds(), 3),
                        "error": error_record(error),
                    },
                )

            on_fallback.set(fell_back)
            on_retry.set(retried)
            on_wait.set(call_context.waited)
            result = recordable_result(await ask(call_context))
            scripted = self.wrapped.is_scripted
            detail: JsonObject = {"finish_reason": result.finish_reason, "cached": result.cached}
            if scripted:
                detail["scripted"] = True
            if (stand_in := answering.get()) is not None:
                detail["fallback"] = stand_in
            if result.filtered:
                detail["filtered"] = result.filtered
            cost_usd = self._cost(result, stand_in or self._profile)
            return Outcome(
                result, None, result.usage, cost_usd, result.model, scripted, detail, True
            )

        return perform

    def _cost(self, result: CreateResult, profile: str) -> Decimal | None:
        if result.cached:
            return None
        price = self._prices(profile, result.model)
        return None if price is None else price.cost(result.usage)
