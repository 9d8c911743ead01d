"""Anthropic's models over the Messages API, and servers that implement it.

Above it: agents. Below it: an `Attempt` with the requests and calls of this folder, which a
`RetryingModel` repeats. The SDK's own retries are off: ours are bounded in number and time, and are
observable (`retry.py`). The SDK is loaded when the first client is created.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, Unpack

from teamrun.core.clock import Clock
from teamrun.core.optional import require
from teamrun.core.urls import public_url
from teamrun.models.anthropic.arguments import AnthropicArgs, checked_arguments
from teamrun.models.anthropic.request import RequestBuilder
from teamrun.models.attempt import Attempt, as_timedelta
from teamrun.models.base import ModelInfo
from teamrun.models.component import arguments_of
from teamrun.models.families import resolved_model_info
from teamrun.models.makers import (
    ANTHROPIC,
    NO_KEY,
    Access,
    address_and_query,
    check_address,
    maker_at,
    provider_of,
)
from teamrun.models.retry import RetryingModel, RetryPolicy
from teamrun.models.wrong_arguments import ModelArgumentError

if TYPE_CHECKING:
    import httpx2

__all__ = ["AnthropicChatCompletionClient"]


class AnthropicChatCompletionClient(RetryingModel):
    """A model behind Anthropic's Messages API.

    Args:
        model: Its name, such as `claude-sonnet-4-5`; without it, `ANTHROPIC_MODEL`.
        api_key: Without it, `ANTHROPIC_API_KEY`, which is sent to Anthropic and to the address in
            `ANTHROPIC_BASE_URL`, and to no other address; a server of your own may need none.
        base_url: A server that implements the same API, without the `/v1/messages` of its path.
            Without it, `ANTHROPIC_BASE_URL`, else Anthropic's own.
        timeout: Of a whole call, or of silence within a stream: seconds, or a `timedelta`.
        max_retries: How often a call is repeated after a transient failure.
        retry: The whole retry policy, in place of `max_retries`.
        model_info: The model's capabilities, if its name is unknown.
        add_name_prefixes: Begin each user message with `{source} said:`; without it, if the
            conversation has several sources.
        prompt_caching: Mark tools, system prompt and the end of the conversation as cacheable
            (`cache_control`).
        cache_ttl: How long the cache keeps them: `5m`, or `1h`.
        default_headers: Sent with every request.
        http_client: An `httpx2.AsyncClient` of your own, for proxies and certificates.
        create_args: `temperature`, `max_tokens`, `thinking` and the other arguments of
            `AnthropicArgs`; they apply to every call.

    Raises:
        ModelArgumentError: An argument is missing, unknown or of the wrong type.
        MissingPackage: The `anthropic` package is not installed.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: timedelta | float | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        model_info: ModelInfo | None = None,
        add_name_prefixes: bool | None = None,
        prompt_caching: bool | None = None,
        cache_ttl: Literal["5m", "1h"] | None = None,
        default_headers: Mapping[str, str] | None = None,
        http_client: "httpx2.AsyncClient | None" = None,
        clock: Clock | None = None,
        **create_args: Unpack[AnthropicArgs],
    ) -> None:
        given = arguments_of(locals())
        require("anthropic", extra="anthropic", needed_by=type(self).__name__, lowest=(2,))
        from teamrun.models.anthropic.calls import AnthropicCalls, connected  # loads the SDK

        model = model or os.environ.get("ANTHROPIC_MODEL")
        if not model:
            raise ModelArgumentError(
                "No model: pass model=, or set ANTHROPIC_MODEL.", argument="model"
            )
        self._given = given | {"model": model}
        access = ANTHROPIC(model, base_url, os.environ)
        check_address(access.base_url, "base_url")
        self._base_url = access.base_url
        key = _key(api_key, access)
        address = address_and_query(access.base_url)
        is_own_server = maker_at(access.base_url) is not maker_at(ANTHROPIC.base_url)
        seconds = as_timedelta(timeout).total_seconds()
        requests = RequestBuilder(
            model=model,
            info=resolved_model_info(model, model_info, own_server=is_own_server),
            provider=f"{provider_of(access.base_url)}-messages",
            arguments=checked_arguments(create_args),
            add_name_prefixes=add_name_prefixes,
            prompt_caching=bool(prompt_caching),
            cache_ttl=cache_ttl,
        )
        calls = AnthropicCalls(
            lambda: connected(
                address.url,
                api_key=key,
                query=address.query,
                timeout_seconds=seconds,
                default_headers=default_headers,
                http_client=http_client,
                is_own_server=is_own_server,
            ),
            timeout_seconds=seconds,
        )
        super().__init__(Attempt(requests, calls), retry, max_retries, clock=clock)

    @property
    def base_url(self) -> str:
        """The address at which the model is called."""
        return self._base_url


def _key(api_key: str | None, access: Access) -> str:
    """The key to send to that address, without the line end of a key read from a file.

    Raises:
        ModelArgumentError: There is none, and the address needs one.
    """
    key = (api_key or access.key or "").strip()
    if not key and access.variable is None:
        return NO_KEY
    if not key:
        raise ModelArgumentError(
            f"No API key for {public_url(access.base_url)}: pass api_key=, or set "
            f"{access.variable}; a server of your own (base_url=) may need none.",
            argument="api_key",
        )
    return key
