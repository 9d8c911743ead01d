"""One call of Ollama's `/api/chat`, whole or streamed.

Imported when a client is created, not before, because it loads the HTTP library.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

import httpx2

from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.json_types import JsonObject
from teamrun.messages.llm import CreateResult
from teamrun.messages.recordable import PairJoiner, recordable
from teamrun.messages.recordable_result import recordable_result
from teamrun.models import http_pool, redirects
from teamrun.models.http_answer import PerLoop, texts_of, timeouts
from teamrun.models.http_errors import answered, mapped_errors, secrets_of, unwritable
from teamrun.models.makers import address_and_query
from teamrun.models.ollama.request import Request
from teamrun.models.ollama.response import AnswerBody

__all__ = ["OllamaCalls", "Place"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server, and how it is called."""

    address: str
    headers: Mapping[str, str] = field(repr=False)
    timeout_seconds: float
    follows_redirects: bool
    http_client: httpx2.AsyncClient | None = None


class OllamaCalls:
    """Makes calls; every failure is a `ModelError`.

    Args:
        place: The server.
        family: Of the model.
        remedies: What to check after a refusal, by HTTP status.
    """

    def __init__(self, place: Place, *, family: str, remedies: Mapping[int, str]) -> None:
        self._place = place
        self._family = family
        self._remedies = remedies
        self._clients = PerLoop(lambda: _client(place))

    async def create(self, request: Request, token: CancellationToken | None) -> CreateResult:
        """Ask once, without retries.

        Raises:
            ModelError: The call failed.
        """
        with mapped_errors(), cancelled_by(token):
            async with asyncio.timeout(self._place.timeout_seconds):
                response = await self._sent(request, streamed=False)
                await self._check(response)
            body = self._body(response, request)
            body.read(response.content)
            return recordable_result(body.result())

    async def stream(
        self, request: Request, token: CancellationToken | None
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Call once, without retries; yields text as it arrives, then the outcome.

        Thoughts are yielded between `<think>` and `</think>`.

        Raises:
            ModelError: The call failed, or the stream ended early.
        """
        with mapped_errors(), cancelled_by(token):
            async with asyncio.timeout(self._place.timeout_seconds):
                response = await self._sent(request, streamed=True)
        async with aclosing(response):
            with mapped_errors(), cancelled_by(token):
                await self._check(response)
            body, joiner = self._body(response, request), PairJoiner()
            seconds = self._place.timeout_seconds
            async with aclosing(texts_of(response, body, token, seconds=seconds)) as texts:
                async for text in texts:
                    if whole := joiner.add(text):
                        yield whole
        with mapped_errors():
            result = recordable_result(body.result())
        if rest := joiner.rest():
            yield rest
        yield result

    async def close(self) -> None:
        """Close the connections of the running loop."""
        client = self._clients.pop()
        if client is not None and client is not self._place.http_client:
            await client.aclose()

    async def _sent(self, request: Request, *, streamed: bool) -> httpx2.Response:
        client = self._clients.get()
        address = address_and_query(self._place.address)
        to_send = client.build_request(
            "POST",
            f"{address.url.rstrip('/')}/api/chat",
            params=address.query,
            content=_written({**request.body, "stream": streamed}),
            headers={"content-type": "application/json", **self._place.headers},
            timeout=timeouts(self._place.timeout_seconds),
        )
        with redirects.on_same_server():
            return await client.send(
                to_send, stream=streamed, follow_redirects=self._place.follows_redirects
            )

    async def _check(self, response: httpx2.Response) -> None:
        """Raise if the response is not an answer."""
        if response.status_code == 200:
            return
        raise answered(response, await response.aread(), self._remedies)

    def _body(self, response: httpx2.Response, request: Request) -> AnswerBody:
        return AnswerBody(request, self._family, secrets_of(response.request))


def _client(place: Place) -> httpx2.AsyncClient:
    return redirects.guarded(place.http_client or http_pool.http_client())


def _written(body: JsonObject) -> bytes:
    """The body as JSON; lone surrogates in it are replaced, since nothing can send them.

    Raises:
        ModelError: JSON cannot express it.
    """
    try:
        try:
            return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError:
            return json.dumps(recordable(body), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise unwritable(error) from error
