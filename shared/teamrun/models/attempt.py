"""One call of a provider's model; `RetryingModel` repeats it.

Above it: the client of a provider. Below it: the provider's own requests and how they are sent.
"""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from datetime import timedelta
from math import isfinite
from typing import Generic, Protocol, TypeVar, Unpack

from pydantic import BaseModel

from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ModelError, UsageError
from teamrun.json_types import JsonMapping
from teamrun.messages.llm import CreateResult, LLMMessage, RequestUsage
from teamrun.models.base import CallOptions, ChatCompletionClient, ModelInfo, ToolChoice
from teamrun.models.scalars import LONGEST_S
from teamrun.tools.schema import ToolSchema

__all__ = ["Attempt", "Calls", "Requests", "as_timedelta"]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)

_TIMEOUT = timedelta(minutes=10)


class Requests(Protocol[R_co]):
    """Writes the requests of one client."""

    @property
    def info(self) -> ModelInfo:
        """The capabilities of the model."""
        ...

    @property
    def window(self) -> int:
        """The size of the model's context window, in tokens."""
        ...

    @property
    def provider(self) -> str:
        """The server, as errors and the data that it attaches to turns name it."""
        ...

    def build(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema],
        tool_choice: ToolChoice,
        json_output: bool | type[BaseModel] | None,
        extra: JsonMapping,
    ) -> R_co:
        """The request for one call; it belongs to the caller.

        Raises:
            UsageError: The model does not support the request, or arguments contradict each other.
            ModelError: JSON cannot express the request.
        """
        ...


class Calls(Protocol[R_contra]):
    """Sends requests, each of them once."""

    async def create(self, request: R_contra, token: CancellationToken | None) -> CreateResult:
        """The whole answer.

        Raises:
            ModelError: The call failed.
        """
        ...

    def stream(
        self, request: R_contra, token: CancellationToken | None
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The text of the answer as it arrives, then the whole answer.

        Raises:
            ModelError: The call failed, or the stream ended early.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Attempt(ChatCompletionClient, Generic[R]):
    """A model of some provider, without retries.

    Args:
        requests: Writes the requests.
        calls: Sends them.
    """

    def __init__(self, requests: Requests[R], calls: Calls[R]) -> None:
        self._requests = requests
        self._calls = calls
        self._used = RequestUsage(prompt_tokens=0, completion_tokens=0)

    async def create(
        self,
        messages: Sequence[LLMMessage],
        **options: Unpack[CallOptions],
    ) -> CreateResult:
        """Call the model once.

        Raises:
            ModelError: The call failed; `data["provider"]` names the server.
            UsageError: The model does not support the request.
        """
        with self._named():
            request = self._request(messages, options)
            token = options.get("cancellation_token")
            return self._counted(await self._calls.create(request, token))

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        **options: Unpack[CallOptions],
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Call the model once.

        Raises:
            ModelError: The call failed, or its answer ended early.
            UsageError: The model does not support the request.
        """
        with self._named():
            request = self._request(messages, options)
            stream = self._calls.stream(request, options.get("cancellation_token"))
            async with aclosing(stream) as pieces:
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
        return self._requests.window - self.count_tokens(messages, tools=tools)

    @contextmanager
    def _named(self) -> Generator[None]:
        """A block in which errors get the name of the provider."""
        try:
            yield
        except ModelError as error:
            error.data.setdefault("provider", self._requests.provider)
            raise

    def _request(self, messages: Sequence[LLMMessage], options: CallOptions) -> R:
        return self._requests.build(
            messages,
            tools=options.get("tools", ()),
            tool_choice=options.get("tool_choice", "auto"),
            json_output=options.get("json_output"),
            extra=options.get("extra_create_args") or {},
        )

    def _counted(self, result: CreateResult) -> CreateResult:
        self._used += result.usage
        return result


def as_timedelta(timeout: timedelta | float | None) -> timedelta:
    """The timeout of a client's constructor in one form; by default ten minutes.

    Infinity, which is no limit, and numbers that a `timedelta` cannot have are ten years.

    Raises:
        UsageError: It is not a number (NaN), or minus infinity.
    """
    if timeout is None:
        return _TIMEOUT
    if isinstance(timeout, timedelta):
        return timeout
    seconds = min(timeout, LONGEST_S)
    if not isfinite(seconds):
        raise UsageError(
            f"timeout must be a number of seconds or a timedelta, not {timeout}; leave it out for "
            "ten minutes, or take float('inf') for no limit."
        )
    return timedelta(seconds=seconds)
