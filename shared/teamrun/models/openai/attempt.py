"""One request to a server of OpenAI's chat completions; `RetryingModel` repeats it.

Above it: `client.py`. Below it: `calls.py`, the `openai` SDK over HTTP.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from typing import Unpack

from teamrun.errors import ModelError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.llm import CreateResult, LLMMessage, RequestUsage
from teamrun.models.base import CallOptions, ChatCompletionClient, ModelInfo
from teamrun.models.families import context_window
from teamrun.models.openai.calls import Connect, OpenAICalls
from teamrun.models.openai.request import Request, RequestBuilder
from teamrun.tools.schema import ToolSchema

__all__ = ["OpenAIAttempt"]

_USAGE_NAMES = ("stream_options", "streamOptions", "include_usage", "includeUsage")
"""Names by which servers refuse `stream_options` if they do not support it."""


class OpenAIAttempt(ChatCompletionClient):
    """The chat completions of a server, without retries.

    Args:
        connect: Opens the connection of an event loop.
        requests: Builds the requests.
        timeout: Of a whole call, or of silence within a stream.
        include_usage: Ask for usage in streams.
        remedies: What to check after a refusal, by HTTP status.
    """

    def __init__(
        self,
        connect: Connect,
        requests: RequestBuilder,
        *,
        timeout: timedelta,
        include_usage: bool,
        remedies: Mapping[int, str],
    ) -> None:
        self._requests = requests
        self._calls = OpenAICalls(
            connect,
            timeout_seconds=timeout.total_seconds(),
            family=requests.info["family"],
            remedies=remedies,
        )
        self._include_usage = include_usage
        self._refuses_stream_options = False
        self._used = RequestUsage(prompt_tokens=0, completion_tokens=0)

    async def create(
        self,
        messages: Sequence[LLMMessage],
        **options: Unpack[CallOptions],
    ) -> CreateResult:
        """Send one request.

        Raises:
            ModelError: The request failed.
            UsageError: The model does not support the request.
        """
        request, token = self._request(messages, options), options.get("cancellation_token")
        request.body.pop("stream_options", None)
        return self._counted(await self._calls.create(request, token))

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        **options: Unpack[CallOptions],
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Send one request; without `stream_options`, a second one if the server refused them.

        Raises:
            ModelError: The request failed, or its answer ended early.
            UsageError: The model does not support the request.
        """
        request, token = self._request(messages, options), options.get("cancellation_token")
        self._set_stream_options(request.body)
        spoken = False
        while True:
            try:
                async with aclosing(self._calls.stream(request, token)) as pieces:
                    async for piece in pieces:
                        spoken = True
                        yield piece if isinstance(piece, str) else self._counted(piece)
                return
            except ModelError as error:
                if spoken or not self._retries_without_usage(request.body, error):
                    raise

    @property
    def model_info(self) -> ModelInfo:
        """The capabilities of the model."""
        return self._requests.info

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        await self._calls.close()

    def actual_usage(self) -> RequestUsage:
        """Tokens of all calls of this client."""
        return replace(self._used)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolSchema] = ()
    ) -> int:
        """An estimate of the room left in the model's window, in tokens."""
        return context_window(self._requests.model) - self.count_tokens(messages, tools=tools)

    def _request(self, messages: Sequence[LLMMessage], options: CallOptions) -> Request:
        return self._requests.build(
            messages,
            tools=options.get("tools", ()),
            tool_choice=options.get("tool_choice", "auto"),
            json_output=options.get("json_output"),
            extra=options.get("extra_create_args") or {},
        )

    def _set_stream_options(self, body: JsonObject) -> None:
        """A call's options replace the client's one by one; what is false is left out."""
        own: JsonMapping = self._requests.create_args.get("stream_options") or {}
        given: JsonMapping = body.pop("stream_options", {})
        options = {"include_usage": self._include_usage, **own, **given}
        if not options["include_usage"]:
            del options["include_usage"]  # false is the API's default
        if options and not self._refuses_stream_options:
            body["stream_options"] = options

    def _retries_without_usage(self, body: JsonObject, error: ModelError) -> bool:
        """Whether the server refused `stream_options`: it gets none from now on."""
        refused = error.status_code in (400, 422) and any(
            name in error.message for name in _USAGE_NAMES
        )
        if refused and "stream_options" in body:
            self._refuses_stream_options = True
            del body["stream_options"]
            return True
        return False

    def _counted(self, result: CreateResult) -> CreateResult:
        used, more = self._used, result.usage
        used.prompt_tokens += more.prompt_tokens
        used.completion_tokens += more.completion_tokens
        used.cached_tokens += more.cached_tokens
        used.reasoning_tokens += more.reasoning_tokens
        return result
