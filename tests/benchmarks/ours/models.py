"""Models that take almost no time, so that the rest is measured."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from tests.benchmarks.meter import text_of

from teamrun.core import CancellationToken
from teamrun.messages import CreateResult, FunctionCall, LLMMessage, RequestUsage
from teamrun.models import ChatCompletionClient, ModelInfo
from teamrun.models.base import ToolChoice
from teamrun.tools.schema import ToolSchema

__all__ = ["Halting", "Speaker", "ToolCaller"]

_INFO = ModelInfo(
    vision=True, function_calling=True, json_output=True, family="unknown", structured_output=True
)


class Speaker(ChatCompletionClient):
    """Says something new each time, after `delay_s`."""

    def __init__(self, delay_s: float = 0) -> None:
        self._delay_s = delay_s
        self._numbers = itertools.count()

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        return await self._answer(messages)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        yield await self.create(messages, **options)

    @property
    def model_info(self) -> ModelInfo:
        return _INFO

    async def _answer(self, messages: Sequence[LLMMessage]) -> CreateResult:
        return CreateResult(
            finish_reason="stop",
            content=text_of(next(self._numbers)),
            usage=RequestUsage(prompt_tokens=100, completion_tokens=50),
        )


class ToolCaller(Speaker):
    """Asks for the tool `add` so many times, then answers."""

    def __init__(self, rounds: int, delay_s: float = 0) -> None:
        super().__init__(delay_s)
        self._rounds = rounds

    async def _answer(self, messages: Sequence[LLMMessage]) -> CreateResult:
        done = (len(messages) - 2) // 2  # instructions and task, then a pair for each round
        if done >= self._rounds:
            return await super()._answer(messages)
        call = FunctionCall(id=f"call_{done}", name="add", arguments='{"a": 1, "b": 2}')
        return CreateResult(
            finish_reason="function_calls",
            content=[call],
            usage=RequestUsage(prompt_tokens=100, completion_tokens=50),
        )


class Halting(Speaker):
    """Lets each run come so many turns far and no further, until `go` is set."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self._most = turns + 2  # instructions, task, and the messages of each turn
        self.halted = 0
        self.go = asyncio.Event()
        self._count = asyncio.Condition()

    async def all_halted(self, runs: int) -> None:
        async with self._count:
            await self._count.wait_for(lambda: self.halted >= runs)

    async def _answer(self, messages: Sequence[LLMMessage]) -> CreateResult:
        if len(messages) >= self._most:
            self.halted += 1
            async with self._count:
                self._count.notify_all()
            await self.go.wait()
        return await super()._answer(messages)
