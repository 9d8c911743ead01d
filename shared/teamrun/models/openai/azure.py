"""Models deployed on Azure: the same calls as `client.py`, another address and other keys."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Unpack

from teamrun.core.clock import Clock
from teamrun.core.optional import require
from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.models.base import ModelInfo
from teamrun.models.create_args import CreateArgs
from teamrun.models.families import resolved_model_info
from teamrun.models.makers import address_and_query, check_address
from teamrun.models.openai.client import (
    ApiKey,
    BaseOpenAIClient,
    as_timedelta,
    retry_policy,
    stripped,
)
from teamrun.models.retry import RetryPolicy

if TYPE_CHECKING:
    import httpx2

__all__ = ["AzureOpenAIChatCompletionClient", "TokenProvider", "identity_token_provider"]

TokenProvider = Callable[[], str | Awaitable[str]]
"""Asked for a Microsoft Entra token before each request."""

_SCOPE = "https://cognitiveservices.azure.com/.default"


class AzureOpenAIChatCompletionClient(BaseOpenAIClient):
    """A model deployed on Azure.

    With neither a key nor a token, the identity of the machine or of the developer is used
    (`azure-identity`).

    Args:
        model: Name of the deployment's model; determines the model's capabilities.
        azure_endpoint: `https://{resource}.openai.azure.com`; `endpoint` is another name for it;
            without it, `AZURE_OPENAI_ENDPOINT`.
        azure_deployment: Name of the deployment; without it, the model's.
        api_version: Such as `2024-10-21`; without it, `OPENAI_API_VERSION`.
        api_key: Without it, `AZURE_OPENAI_API_KEY`.
        azure_ad_token: A Microsoft Entra token.
        azure_ad_token_provider: Called for a token before each request.
        timeout: As for `OpenAIChatCompletionClient`, and so are the other arguments.

    Raises:
        UsageError: An argument is missing, unknown or of the wrong type.
        MissingPackage: The `openai` package is not installed, or `azure-identity` where needed.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        azure_endpoint: str | None = None,
        endpoint: str | None = None,
        azure_deployment: str | None = None,
        api_version: str | None = None,
        api_key: ApiKey | None = None,
        azure_ad_token: str | None = None,
        azure_ad_token_provider: TokenProvider | None = None,
        timeout: timedelta | float | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        model_info: ModelInfo | None = None,
        add_name_prefixes: bool = False,
        include_name_in_message: bool = True,
        include_usage: bool | None = None,
        default_headers: Mapping[str, str] | None = None,
        http_client: "httpx2.AsyncClient | None" = None,
        clock: Clock | None = None,
        **create_args: Unpack[CreateArgs],
    ) -> None:
        require("openai", extra="azure", needed_by=type(self).__name__, lowest=(3,))
        model = _given(model, "AZURE_OPENAI_MODEL", "model")
        address = _given(azure_endpoint or endpoint, "AZURE_OPENAI_ENDPOINT", "azure_endpoint")
        check_address(address, "azure_endpoint")
        options = {
            "azure_endpoint": address,
            "api_version": _given(api_version, "OPENAI_API_VERSION", "api_version"),
            "azure_deployment": azure_deployment or model,
            "default_headers": default_headers,
            **_credentials(api_key, azure_ad_token, azure_ad_token_provider),
        }
        seconds = as_timedelta(timeout)
        super().__init__(
            lambda: _connect(timeout=seconds, http_client=http_client, **options),
            model=model,
            base_url=address,
            info=resolved_model_info(model, model_info, own_server=False),
            timeout=seconds,
            retry=retry_policy(retry, max_retries),
            clock=clock,
            add_name_prefixes=add_name_prefixes,
            include_name_in_message=include_name_in_message,
            include_usage=include_usage,
            create_args=create_args,
        )


def identity_token_provider(credential: Any = None) -> TokenProvider:
    """Tokens of an `azure-identity` credential, by default of `DefaultAzureCredential`.

    Raises:
        MissingPackage: `azure-identity` is not installed.
    """
    require(
        "azure-identity",
        extra="azure",
        needed_by="AzureOpenAIChatCompletionClient without api_key= or a token",
    )
    from azure.identity import DefaultAzureCredential, get_bearer_token_provider

    provider = get_bearer_token_provider(credential or DefaultAzureCredential(), _SCOPE)

    async def token() -> str:
        # The synchronous credential needs no aiohttp; it blocks only when its token runs out.
        return await asyncio.to_thread(provider)

    return token


def _given(value: str | None, variable: str, argument: str) -> str:
    found = value or os.environ.get(variable)
    if not found:
        raise UsageError(
            f"Azure OpenAI needs {argument}=, or {variable} in the environment.", argument=argument
        )
    return found


def _credentials(
    api_key: ApiKey | None, token: str | None, provider: TokenProvider | None
) -> JsonObject:
    if provider is not None:
        return {"azure_ad_token_provider": provider}
    if token or (api_key is None and (token := os.environ.get("AZURE_OPENAI_AD_TOKEN"))):
        return {"azure_ad_token": token}
    if key := stripped(api_key or os.environ.get("AZURE_OPENAI_API_KEY")):
        return {"api_key": key}
    return {"azure_ad_token_provider": identity_token_provider()}


def _connect(
    *, timeout: timedelta, http_client: "httpx2.AsyncClient | None", **options: Any
) -> Any:
    from openai import AsyncAzureOpenAI

    from teamrun.models import http_pool, redirects
    from teamrun.models.openai import calls

    address = address_and_query(options.pop("azure_endpoint"))
    return AsyncAzureOpenAI(
        **options,
        azure_endpoint=address.url,
        default_query=address.query,
        max_retries=0,
        timeout=calls.timeouts(timeout.total_seconds()),
        http_client=redirects.guarded(http_client or http_pool.http_client()),
    )
