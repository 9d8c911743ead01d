"""One call of a model on Bedrock; `RetryingModel` repeats it.

Above it: `client.py`. Below it: `calls.py`, boto3 in threads.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Unpack

from teamrun.messages.llm import CreateResult, LLMMessage, RequestUsage
from teamrun.models.base import CallOptions, ChatCompletionClient, ModelInfo
from teamrun.models.bedrock.calls import BedrockCalls
from teamrun.models.bedrock.connection import Place
from teamrun.models.bedrock.request import Request, RequestBuilder
from teamrun.tools.schema import ToolSchema

__all__ = ["BedrockAttempt"]


class BedrockAttempt(ChatCompletionClient):
    """A model on Bedrock, without retries.

    Args:
        place: Where it is called.
        requests: Builds the requests.
    """

    def __init__(self, place: Place, requests: RequestBuilder) -> None:
        self._requests = requests
        self._calls = BedrockCalls(place)
        self._used = RequestUsage(prompt_tokens=0, completion_tokens=0)

    async def create(
        self,
        messages: Sequence[LLMMessage],
        **options: Unpack[CallOptions],
    ) -> CreateResult:
        """Call Converse.

        Raises:
            ModelError: The call failed.
            UsageError: The model does not support the request.
        """
        request = self._request(messages, options)
        return self._counted(await self._calls.create(request, options.get("cancellation_token")))

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        **options: Unpack[CallOptions],
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Call ConverseStream, or Converse if the model does not stream the request.

        Raises:
            ModelError: The call failed, or its answer ended early.
            UsageError: The model does not support the request.
        """
        request, token = self._request(messages, options), options.get("cancellation_token")
        if not request.streams:
            result = self._counted(await self._calls.create(request, token))
            if result.content and isinstance(result.content, str):
                yield result.content
            yield result
            return
        async with aclosing(self._calls.stream(request, token)) as pieces:
            async for piece in pieces:
                yield piece if isinstance(piece, str) else self._counted(piece)

    @property
    def model_info(self) -> ModelInfo:
        """The capabilities of the model."""
        return self._requests.info

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.close()

    def actual_usage(self) -> RequestUsage:
        """Tokens of all calls of this client."""
        return replace(self._used)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolSchema] = ()
    ) -> int:
        """An estimate of the room left in the model's window, in tokens."""
        return self._requests.traits.window - self.count_tokens(messages, tools=tools)

    def _request(self, messages: Sequence[LLMMessage], options: CallOptions) -> Request:
        return self._requests.build(
            messages,
            tools=options.get("tools", ()),
            tool_choice=options.get("tool_choice", "auto"),
            json_output=options.get("json_output"),
            extra=options.get("extra_create_args") or {},
        )

    def _counted(self, result: CreateResult) -> CreateResult:
        used, more = self._used, result.usage
        used.prompt_tokens += more.prompt_tokens
        used.completion_tokens += more.completion_tokens
        used.cached_tokens += more.cached_tokens
        return result
