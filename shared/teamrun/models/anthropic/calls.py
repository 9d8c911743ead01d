"""One attempt at a message through the `anthropic` SDK, whole or streamed.

Imported when a client is created, not before, because it loads the SDK.
"""

from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import httpx2
from anthropic import AsyncAnthropic
from anthropic.resources import messages as messages  # loaded now, not in the first call

from teamrun.models import http_pool, redirects
from teamrun.models.anthropic.errors import mapped_errors
from teamrun.models.anthropic.request import Request
from teamrun.models.anthropic.response import AnswerReader
from teamrun.models.http_answer import timeouts
from teamrun.models.sdk_calls import SdkCalls, Sent, arguments_of

__all__ = ["AnthropicCalls", "connected"]

_NAMED = ("model", "max_tokens")


class AnthropicCalls(SdkCalls[Request, AsyncAnthropic]):
    """Calls of the Messages API."""

    def _send(self, client: AsyncAnthropic, request: Request) -> Awaitable[Sent]:
        create = client.messages.with_raw_response.create
        return create(**arguments_of(request, *_NAMED), stream=False)

    def _open(self, client: AsyncAnthropic, request: Request) -> AbstractAsyncContextManager[Sent]:
        create = client.messages.with_streaming_response.create
        return create(**arguments_of(request, *_NAMED), stream=True)

    def _answer(self, request: Request, secrets: Sequence[str]) -> AnswerReader:
        return AnswerReader(request, secrets)

    def _mapped_errors(self) -> mapped_errors:
        return mapped_errors()


class _Client(AsyncAnthropic):
    def forget_environment(self, headers: Mapping[str, str]) -> None:
        """Send these headers, and not those of ANTHROPIC_CUSTOM_HEADERS."""
        self._custom_headers = headers


def connected(
    base_url: str,
    *,
    api_key: str,
    query: Mapping[str, str] | None,
    timeout_seconds: float,
    default_headers: Mapping[str, str] | None,
    http_client: httpx2.AsyncClient | None,
    is_own_server: bool,
) -> AsyncAnthropic:
    """A client of the SDK without retries.

    Args:
        base_url: The address, without the path of the API.
        api_key: The key.
        query: Sent with every request.
        timeout_seconds: The longest silence.
        default_headers: Sent with every request.
        http_client: A client of the caller's.
        is_own_server: The address is not Anthropic's: headers of the environment are not sent.
    """
    client = _Client(
        api_key=api_key,
        base_url=base_url,
        default_query=query,
        default_headers=default_headers,
        max_retries=0,
        timeout=timeouts(timeout_seconds),
        open_telemetry=False,
        http_client=redirects.guarded(http_client or http_pool.http_client()),
    )
    if is_own_server:
        client.forget_environment(default_headers or {})
    return client
