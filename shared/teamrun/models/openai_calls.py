"""One attempt at a chat completion through the `openai` SDK, whole or streamed.

Imported where a client is made, not before: it loads the SDK. Each event loop gets an SDK
client of its own, since connections belong to the loop that opened them.
"""

import asyncio
import hashlib
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI
from openai.resources.chat import completions as completions  # loaded now, not in the first call
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from teamrun.core.call import current_call
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ModelError
from teamrun.messages.llm import CreateResult
from teamrun.models.openai_errors import mapped_errors
from teamrun.models.openai_request import Request
from teamrun.models.openai_response import StreamedAnswer, result_of

__all__ = ["Connect", "OpenAICalls", "timeouts"]

Connect = Callable[[], AsyncOpenAI]

_NOT_IN_BODY = frozenset({"model", "extra_body"})
_CONNECT_SECONDS = 10.0


def timeouts(seconds: float) -> httpx2.Timeout:
    """`seconds` of silence are the limit; for opening a connection it is at most ten."""
    return httpx2.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))


class OpenAICalls:
    """Makes calls; everything that goes wrong is a `ModelError`."""

    def __init__(self, connect: Connect, *, timeout_seconds: float, family: str) -> None:
        self._connect = connect
        self._timeout_seconds = timeout_seconds
        self._family = family
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncOpenAI] = (
            weakref.WeakKeyDictionary()
        )

    async def create(self, request: Request, token: CancellationToken | None) -> CreateResult:
        """Ask once, without retries.

        Raises:
            ModelError: Whatever went wrong.
        """
        with mapped_errors(), cancelled_by(token):
            async with asyncio.timeout(self._timeout_seconds):  # silence is bounded by the SDK
                completion = await self._client().chat.completions.create(
                    **_arguments(request), stream=False
                )
            return result_of(_parsed(completion), names=request.names, family=self._family)

    async def stream(
        self, request: Request, token: CancellationToken | None
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Ask once, without retries; yields text as it comes, then the outcome.

        Raises:
            ModelError: Whatever went wrong, an early end of the stream included.
        """
        answer = StreamedAnswer(request.names, self._family)
        with mapped_errors(), cancelled_by(token):
            stream = await self._client().chat.completions.create(
                **_arguments(request), stream=True
            )
        try:
            while (chunk := await _next(stream, answer, token)) is not None:
                with mapped_errors():
                    text = answer.add(chunk)
                if text:
                    yield text
        finally:
            await stream.close()
        with mapped_errors():
            result = answer.result()
        yield result

    async def close(self) -> None:
        """Close the connections of the running loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def _client(self) -> AsyncOpenAI:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = self._connect()
        return client


async def _next(
    stream: openai.AsyncStream[ChatCompletionChunk],
    answer: StreamedAnswer,
    token: CancellationToken | None,
) -> ChatCompletionChunk | None:
    try:
        with mapped_errors(), cancelled_by(token):
            return await anext(stream, None)
    except ModelError:
        if answer.complete:  # only the usage is missing; it is not worth paying again for
            return None
        raise


def _parsed(completion: object) -> ChatCompletion:
    if isinstance(completion, ChatCompletion):
        return completion
    # Contrary to its types the SDK hands on a body that is not declared as JSON.
    raise ModelError("The model's server answered no JSON.", retryable=True, unreadable=True)


def _arguments(request: Request) -> dict[str, Any]:
    # All but the model goes through extra_body, which the SDK sends as it is. What it gets as
    # arguments it walks through to rename keys: 3.5 ms CPU for twenty messages, against 0.7 for
    # the rest of the call.
    body = {key: value for key, value in request.body.items() if key not in _NOT_IN_BODY}
    return {
        "model": request.body["model"],
        "messages": (),
        "extra_body": {**body, **request.body.get("extra_body", {})},
        "extra_headers": _headers(),
    }


def _headers() -> dict[str, str]:
    call = current_call.get()
    if call is None:
        return {}
    place = f"{call.run_id}:{call.call_id}".encode()
    return {"Idempotency-Key": f"teamrun-{hashlib.sha256(place).hexdigest()[:40]}"}
