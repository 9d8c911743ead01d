"""One attempt at a model's answer through an SDK that sends with `httpx2`, whole or streamed.

The SDK connects, authorizes and sends; answers are read by `answer_body.py`, since the SDK's reader
fails on what compatible servers send: pings, chunks without a delta, errors of other shapes.
"""

import asyncio
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import httpx2

from teamrun.core.call import current_call
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ModelError
from teamrun.json_types import JsonObject
from teamrun.messages.llm import CreateResult
from teamrun.messages.recordable import PairJoiner, recordable
from teamrun.messages.recordable_result import recordable_result
from teamrun.models.answer_body import Answer, AnswerBody
from teamrun.models.http_answer import PerLoop, texts_of
from teamrun.models.http_errors import mapped_errors, secrets_of, unwritable
from teamrun.models.redirects import on_same_server

__all__ = ["SdkCalls", "SdkClient", "Sent", "arguments_of"]

T = TypeVar("T")


class SdkClient(Protocol):
    """A client of an SDK."""

    async def close(self) -> None:
        """Close the connections."""
        ...


class Sent(Protocol):
    """The SDK's response to a request."""

    @property
    def http_response(self) -> httpx2.Response:
        """The response itself."""
        ...


class _Request(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def body(self) -> JsonObject: ...


C = TypeVar("C", bound=SdkClient)
R = TypeVar("R", bound=_Request)


class SdkCalls(ABC, Generic[R, C]):
    """Makes calls; every failure is a `ModelError`.

    Args:
        connect: Makes a client of the SDK, whose own retries are off.
        timeout_seconds: For a whole answer, or for silence within a stream.
    """

    def __init__(self, connect: Callable[[], C], *, timeout_seconds: float) -> None:
        self._clients = PerLoop(connect)
        self._timeout_seconds = timeout_seconds

    @abstractmethod
    def _send(self, client: C, request: R) -> Awaitable[Sent]:
        """Send a request; its body has been received."""

    @abstractmethod
    def _open(self, client: C, request: R) -> AbstractAsyncContextManager[Sent]:
        """Send a request for a stream; the head of its response has been received."""

    @abstractmethod
    def _answer(self, request: R, secrets: Sequence[str]) -> Answer:
        """The reader of the answer to a request.

        Args:
            request: The request.
            secrets: Values to remove from an error's message.
        """

    @abstractmethod
    def _mapped_errors(self) -> mapped_errors:
        """A block in which errors become those of ours."""

    async def create(self, request: R, token: CancellationToken | None) -> CreateResult:
        """Ask once, without retries.

        Raises:
            ModelError: The call failed.
        """
        with self._mapped_errors(), cancelled_by(token):
            async with asyncio.timeout(self._timeout_seconds):  # silence is bounded by the SDK
                client = self._clients.get()
                sent = await _sent(lambda asked: self._send(client, asked), request)
            response = sent.http_response
            answer = self._answer(request, secrets_of(response.request))
            AnswerBody(answer).read(response.content)
            return recordable_result(answer.result())

    async def stream(
        self, request: R, token: CancellationToken | None
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Call once, without retries; yields text as it arrives, then the outcome.

        Thoughts that the server sends are yielded between `<think>` and `</think>`.

        Raises:
            ModelError: The call failed, or the stream ended early.
        """
        async with AsyncExitStack() as stack:
            with self._mapped_errors(), cancelled_by(token):
                client = self._clients.get()
                opened = await _sent(
                    lambda asked: stack.enter_async_context(self._open(client, asked)), request
                )
                response = opened.http_response
            answer, joiner = self._answer(request, secrets_of(response.request)), PairJoiner()
            body, seconds = AnswerBody(answer), self._timeout_seconds
            try:
                async for text in texts_of(response, body, token, seconds=seconds):
                    if whole := joiner.add(text):
                        yield whole
            except ModelError:
                if not answer.complete:  # else only the usage is missing, not worth another call
                    raise
        with self._mapped_errors():
            result = recordable_result(answer.result())
        if rest := joiner.rest():
            yield rest
        yield result

    async def close(self) -> None:
        """Close the connections of the running loop."""
        client = self._clients.pop()
        if client is not None:
            await client.close()


def arguments_of(request: _Request, *named: str) -> JsonObject:
    """The arguments of an SDK's method that creates an answer.

    Args:
        request: The request.
        named: Members of its body that the method insists on, besides `messages`.
    """
    # Everything else is passed in extra_body, which the SDK sends unchanged. It walks through other
    # arguments to rename keys: 3.5 ms of CPU for twenty messages, against 0.7 for the rest of the
    # call.
    apart = {*named, "extra_body"}
    body = {key: value for key, value in request.body.items() if key not in apart}
    return {
        **{name: request.body[name] for name in named},
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


async def _sent(send: Callable[[R], Awaitable[T]], request: R) -> T:
    """Send a request; lone surrogates in its history are replaced, since nothing can send them."""
    with on_same_server():
        try:
            return await send(request)
        except UnicodeEncodeError:  # before anything was sent
            return await send(replace(request, body=recordable(request.body)))
        except ValueError as error:
            _check_writable(request)
            raise error


def _check_writable(request: _Request) -> None:
    """Raise a `ModelError` if it is the request that no attempt can write."""
    try:
        json.dumps(request.body, allow_nan=False)
    except ValueError as error:
        raise unwritable(error) from error
