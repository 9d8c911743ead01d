"""One attempt at a chat completion through the `openai` SDK, whole or streamed.

The SDK connects, authorizes and sends; answers are read by `body.py`, since the SDK's reader
fails on what compatible servers send: pings, chunks without a delta, errors of other shapes.
Imported when a client is created, not before, because it loads the SDK.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TypeVar

import httpx2
from openai import AsyncOpenAI
from openai.resources.chat import completions as completions  # loaded now, not in the first call

from teamrun.core.call import current_call
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ModelError
from teamrun.json_types import JsonObject
from teamrun.messages.llm import CreateResult
from teamrun.messages.recordable import PairJoiner, recordable
from teamrun.messages.recordable_result import recordable_result
from teamrun.models.http_answer import PerLoop, texts_of
from teamrun.models.http_errors import secrets_of, unwritable
from teamrun.models.openai.body import AnswerBody
from teamrun.models.openai.errors import mapped_errors
from teamrun.models.openai.request import Request
from teamrun.models.openai.response import AnswerReader
from teamrun.models.redirects import on_same_server

__all__ = ["Connect", "OpenAICalls"]

T = TypeVar("T")

Connect = Callable[[], AsyncOpenAI]

_NOT_IN_BODY = frozenset({"model", "extra_body"})


class OpenAICalls:
    """Makes calls; every failure is a `ModelError`."""

    def __init__(
        self,
        connect: Connect,
        *,
        timeout_seconds: float,
        family: str,
        remedies: Mapping[int, str],
    ) -> None:
        self._remedies = remedies
        self._timeout_seconds = timeout_seconds
        self._family = family
        self._clients = PerLoop(connect)

    async def create(self, request: Request, token: CancellationToken | None) -> CreateResult:
        """Ask once, without retries.

        Raises:
            ModelError: The call failed.
        """
        with mapped_errors(self._remedies), cancelled_by(token):
            async with asyncio.timeout(self._timeout_seconds):  # silence is bounded by the SDK
                completions = self._clients.get().chat.completions.with_raw_response
                raw = await _sent(
                    lambda asked: completions.create(**_arguments(asked), stream=False), request
                )
            answer = self._answer_of(raw.http_response, request)
            AnswerBody(answer).read(raw.http_response.content)
            return recordable_result(answer.result())

    async def stream(
        self, request: Request, token: CancellationToken | None
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Call once, without retries; yields text as it arrives, then the outcome.

        Thoughts that the server sends are yielded between `<think>` and `</think>`.

        Raises:
            ModelError: The call failed, or the stream ended early.
        """
        async with AsyncExitStack() as stack:
            with mapped_errors(self._remedies), cancelled_by(token):
                completions = self._clients.get().chat.completions.with_streaming_response
                opened = await _sent(
                    lambda asked: stack.enter_async_context(
                        completions.create(**_arguments(asked), stream=True)
                    ),
                    request,
                )
                response = opened.http_response
            answer, joiner = self._answer_of(response, request), PairJoiner()
            body, seconds = AnswerBody(answer), self._timeout_seconds
            try:
                async for text in texts_of(response, body, token, seconds=seconds):
                    if whole := joiner.add(text):
                        yield whole
            except ModelError:
                if not answer.complete:  # else only the usage is missing, not worth another call
                    raise
        with mapped_errors():
            result = recordable_result(answer.result())
        if rest := joiner.rest():
            yield rest
        yield result

    async def close(self) -> None:
        """Close the connections of the running loop."""
        client = self._clients.pop()
        if client is not None:
            await client.close()

    def _answer_of(self, response: httpx2.Response, request: Request) -> AnswerReader:
        return AnswerReader(request, self._family, secrets_of(response.request))


async def _sent(send: Callable[[Request], Awaitable[T]], request: Request) -> T:
    """Send a request; lone surrogates in its history are replaced, since nothing can send them."""
    with on_same_server():
        try:
            return await send(request)
        except UnicodeEncodeError:  # before anything was sent
            return await send(replace(request, body=recordable(request.body)))
        except ValueError as error:
            _check_writable(request)
            raise error


def _check_writable(request: Request) -> None:
    """Raise a `ModelError` if it is the request that no attempt can write."""
    try:
        json.dumps(request.body, allow_nan=False)
    except ValueError as error:
        raise unwritable(error) from error


def _arguments(request: Request) -> JsonObject:
    # Everything but the model is passed in extra_body, which the SDK sends unchanged. It walks
    # through other arguments to rename keys: 3.5 ms of CPU for twenty messages, against 0.7 for
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
