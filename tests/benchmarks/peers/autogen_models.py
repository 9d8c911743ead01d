"""Models for AutoGen's agents that cost next to nothing, as `ours/models.py`.

`ReplayChatCompletionClient` counts tokens and would cost more.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel
from tests.benchmarks.meter import text_of

_INFO = ModelInfo(
    vision=True,
    function_calling=True,
    json_output=True,
    family=ModelFamily.UNKNOWN,
    structured_output=True,
)


class Speaker(ChatCompletionClient):
    """Says something new each time, after `delay_s`."""

    component_type = "model"

    def __init__(self, delay_s: float = 0) -> None:
        self._delay_s = delay_s
        self._numbers = itertools.count()

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        return await self._answer(messages)

    async def _answer(self, messages: Sequence[LLMMessage]) -> CreateResult:
        return CreateResult(
            finish_reason="stop",
            content=text_of(next(self._numbers)),
            usage=RequestUsage(prompt_tokens=100, completion_tokens=50),
            cached=False,
        )

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        yield await self.create(messages, **options)

    async def close(self) -> None:
        pass

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def total_usage(self) -> RequestUsage:
        return self.actual_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], **options: Any) -> int:
        return 0

    def remaining_tokens(self, messages: Sequence[LLMMessage], **options: Any) -> int:
        return 100_000

    @property
    def capabilities(self) -> ModelInfo:
        return _INFO

    @property
    def model_info(self) -> ModelInfo:
        return _INFO


class ToolCaller(Speaker):
    """Asks for the tool `add` so many times, then answers."""

    def __init__(self, rounds: int, delay_s: float = 0) -> None:
        super().__init__(delay_s)
        self._rounds = rounds

    async def _answer(self, messages: Sequence[LLMMessage]) -> CreateResult:
        done = (len(messages) - 2) // 2
        if done >= self._rounds:
            return await super()._answer(messages)
        return CreateResult(
            finish_reason="function_calls",
            content=[FunctionCall(id=f"call_{done}", name="add", arguments='{"a": 1, "b": 2}')],
            usage=RequestUsage(prompt_tokens=100, completion_tokens=50),
            cached=False,
        )


class Halting(Speaker):
    """Lets each run come so many turns far and no further, until `go` is set."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self._most = turns + 2
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
