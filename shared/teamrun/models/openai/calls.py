"""One attempt at a chat completion through the `openai` SDK, whole or streamed.

Imported when a client is created, not before, because it loads the SDK.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from openai import AsyncOpenAI
from openai.resources.chat import completions as completions  # loaded now, not in the first call

from teamrun.models.openai.errors import mapped_errors
from teamrun.models.openai.request import Request
from teamrun.models.openai.response import AnswerReader
from teamrun.models.sdk_calls import SdkCalls, Sent, arguments_of

__all__ = ["Connect", "OpenAICalls"]

Connect = Callable[[], AsyncOpenAI]


class OpenAICalls(SdkCalls[Request, AsyncOpenAI]):
    """Calls of chat completions.

    Args:
        connect: Makes a client of the SDK.
        timeout_seconds: For a whole answer, or for silence within a stream.
        family: Of the model.
        remedies: What to check after a refusal, by HTTP status.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        timeout_seconds: float,
        family: str,
        remedies: Mapping[int, str],
    ) -> None:
        super().__init__(connect, timeout_seconds=timeout_seconds)
        self._family = family
        self._remedies = remedies

    def _send(self, client: AsyncOpenAI, request: Request) -> Awaitable[Sent]:
        completions = client.chat.completions.with_raw_response
        return completions.create(**arguments_of(request, "model"), stream=False)

    def _open(self, client: AsyncOpenAI, request: Request) -> AbstractAsyncContextManager[Sent]:
        completions = client.chat.completions.with_streaming_response
        return completions.create(**arguments_of(request, "model"), stream=True)

    def _answer(self, request: Request, secrets: Sequence[str]) -> AnswerReader:
        return AnswerReader(request, self._family, secrets)

    def _mapped_errors(self) -> mapped_errors:
        return mapped_errors(self._remedies)
