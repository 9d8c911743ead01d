"""The base of behaviour that is put around any model client: journals, caches, limits, traces."""

import copy
from collections.abc import AsyncGenerator, Sequence
from typing import Self

from pydantic import BaseModel

from teamrun.core.cancellation import CancellationToken
from teamrun.json_types import JsonMapping
from teamrun.messages.llm import CreateResult, LLMMessage, RequestUsage
from teamrun.models.base import ChatCompletionClient, ModelInfo, ToolChoice
from teamrun.tools.schema import ToolSchema

__all__ = ["ModelWrapper"]


class ModelWrapper(ChatCompletionClient):
    """Passes every call to `wrapped`; a subclass overrides the methods that it changes.

    Override both `create` and `create_stream`: an agent that streams calls only the second one.
    """

    def __init__(self, wrapped: ChatCompletionClient) -> None:
        self.wrapped = wrapped

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
        """Ask the wrapped client."""
        return await self.wrapped.create(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )

    def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Ask the wrapped client."""
        return self.wrapped.create_stream(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )

    @property
    def model_info(self) -> ModelInfo:
        """The capabilities of the wrapped model."""
        return self.wrapped.model_info

    @property
    def is_scripted(self) -> bool:
        """Whether the wrapped client answers from a script."""
        return self.wrapped.is_scripted

    def for_agent(self, name: str) -> ChatCompletionClient:
        """The same behaviour around the wrapped client's view for that agent."""
        inner = self.wrapped.for_agent(name)
        return self if inner is self.wrapped else self._around(inner)

    async def close(self) -> None:
        """Close the wrapped client."""
        await self.wrapped.close()

    def actual_usage(self) -> RequestUsage:
        """Tokens of calls that reached the provider."""
        return self.wrapped.actual_usage()

    def total_usage(self) -> RequestUsage:
        """Tokens of all calls."""
        return self.wrapped.total_usage()

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolSchema] = ()
    ) -> int:
        """The wrapped client's estimate."""
        return self.wrapped.count_tokens(messages, tools=tools)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolSchema] = ()
    ) -> int:
        """The wrapped client's estimate."""
        return self.wrapped.remaining_tokens(messages, tools=tools)

    def _around(self, inner: ChatCompletionClient) -> Self:
        # A copy, so that a subclass's other attributes (a cache, counters) are shared.
        wrapper = copy.copy(self)
        wrapper.wrapped = inner
        return wrapper
