"""Models deployed on Azure: the same calls as `client.py`, another address and other keys."""

import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Unpack, cast

from teamrun.core.clock import Clock
from teamrun.core.optional import require
from teamrun.json_types import JsonMapping
from teamrun.models.attempt import as_timedelta
from teamrun.models.base import ModelInfo
from teamrun.models.component import arguments_of
from teamrun.models.create_args import CreateArgs
from teamrun.models.families import resolved_model_info
from teamrun.models.makers import check_address
from teamrun.models.openai.azure_address import AzureAddress, azure_address
from teamrun.models.openai.azure_credential import credential_in
from teamrun.models.openai.client import ApiKey, BaseOpenAIClient, stripped
from teamrun.models.openai.entra import (
    AzureTokenProvider,
    TokenProvider,
    scope_of,
    shared_provider,
)
from teamrun.models.retry import RetryPolicy
from teamrun.models.wrong_arguments import ModelArgumentError

if TYPE_CHECKING:
    import httpx2

__all__ = ["AzureOpenAIChatCompletionClient"]

_REMEDIES: Final = {
    401: "check api_key, or that the identity has the role 'Cognitive Services OpenAI User'",
    403: "check the resource's network rules, and the roles of the identity",
    404: "check azure_deployment, azure_endpoint and api_version",
}


class AzureOpenAIChatCompletionClient(BaseOpenAIClient):
    """A model deployed on Azure.

    With neither a key nor a token, here or in the environment, an identity is used, which
    `azure-identity` finds: that of a service principal in the environment, of the machine (managed
    identity), or of the developer.

    Args:
        model: The model's name, which determines its capabilities; without it,
            `AZURE_OPENAI_MODEL`, else the deployment's name.
        azure_endpoint: `https://{resource}.openai.azure.com`, or any address that the portal shows
            for the deployment; `endpoint` is another name for it; without it,
            `AZURE_OPENAI_ENDPOINT`.
        azure_deployment: Name of the deployment; without it, the model's.
        api_version: Such as `2024-10-21`; without it, `OPENAI_API_VERSION`. If there is none, or if
            the endpoint ends with `/openai/v1`, the path `/openai/v1` is called, which needs no
            version; `preview` adds its preview features.
        api_key: A key of the resource.
        azure_ad_token: A Microsoft Entra token that you renew yourself.
        azure_ad_token_provider: Called for a token before each request, such as an
            `AzureTokenProvider`; or AutoGen's component JSON of one. Without any of the three,
            `AZURE_OPENAI_AD_TOKEN` is used; without that, `AZURE_OPENAI_API_KEY`.
        timeout: As for `OpenAIChatCompletionClient`, and so are the other arguments.

    Raises:
        ModelArgumentError: An argument is missing, unknown, of the wrong type, or contradicts
            another one.
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
        azure_ad_token_provider: TokenProvider | JsonMapping | None = None,
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
        given = arguments_of(locals())
        require("openai", extra="azure", needed_by=type(self).__name__, lowest=(3,))
        model = _given(model, "AZURE_OPENAI_MODEL", azure_deployment, argument="model")
        written = _given(
            azure_endpoint or endpoint, "AZURE_OPENAI_ENDPOINT", argument="azure_endpoint"
        )
        check_address(written, "azure_endpoint")
        self._given = given | {"model": model, "azure_endpoint": written}
        address = azure_address(
            written,
            deployment=azure_deployment,
            model=model,
            api_version=api_version,
            default=os.environ.get("OPENAI_API_VERSION"),
        )
        access = _access(api_key, azure_ad_token, azure_ad_token_provider, address.resource)
        seconds = as_timedelta(timeout)
        super().__init__(
            lambda: _connect(
                address,
                access,
                timeout=seconds,
                default_headers=default_headers,
                http_client=http_client,
            ),
            model=model,
            sent_as=address.deployment if address.api_version is None else None,
            base_url=address.resource,
            remedies=_REMEDIES,
            info=resolved_model_info(model, model_info, own_server=False),
            timeout=seconds,
            retry=retry,
            max_retries=max_retries,
            clock=clock,
            add_name_prefixes=add_name_prefixes,
            include_name_in_message=include_name_in_message,
            include_usage=include_usage,
            create_args=create_args,
        )


def _given(value: str | None, variable: str, other: str | None = None, *, argument: str) -> str:
    found = value or os.environ.get(variable) or other
    if not found:
        raise ModelArgumentError(
            f"Azure OpenAI needs {argument}=, or {variable} in the environment.", argument=argument
        )
    return found


_Access = dict[str, Any]
"""One of `api_key`, `azure_ad_token`, `azure_ad_token_provider`."""


def _access(
    api_key: ApiKey | None,
    token: str | None,
    provider: TokenProvider | JsonMapping | None,
    resource: str,
) -> _Access:
    named = {"api_key": api_key, "azure_ad_token": token, "azure_ad_token_provider": provider}
    given = [name for name, value in named.items() if value]
    if len(given) > 1:
        raise ModelArgumentError(
            f"Azure OpenAI takes one of {' and '.join(f'{name}=' for name in given)}, not both.",
            argument=given[1],
        )
    if provider:
        if isinstance(provider, Mapping):
            provider = AzureTokenProvider.from_component(cast(JsonMapping, provider))
        return {"azure_ad_token_provider": shared_provider(provider)}
    if token:
        return {"azure_ad_token": token.strip()}
    if key := stripped(api_key):
        return {"api_key": key}
    if found := credential_in(os.environ):
        return dict[str, Any](found)
    require(
        "azure-identity",
        extra="azure",
        needed_by="AzureOpenAIChatCompletionClient without api_key= or a token",
    )
    return {"azure_ad_token_provider": AzureTokenProvider(None, scope_of(resource))}


def _connect(
    address: AzureAddress,
    access: _Access,
    *,
    timeout: timedelta,
    http_client: "httpx2.AsyncClient | None",
    **options: Any,
) -> Any:
    from openai import AsyncAzureOpenAI, AsyncOpenAI

    from teamrun.models import http_answer, http_pool, redirects

    options |= {
        "base_url": address.base_url,
        "default_query": address.query,
        "max_retries": 0,
        "timeout": http_answer.timeouts(timeout.total_seconds()),
        "http_client": redirects.guarded(http_client or http_pool.http_client()),
    }
    if address.api_version is None:  # the SDK's Azure client knows the paths of deployments only
        client: AsyncOpenAI = AsyncOpenAI(**options, api_key=_bearer(access))
    else:
        client = AsyncAzureOpenAI(**options, **access, api_version=address.api_version)
    client.organization = client.project = None  # of OpenAI's own variables
    return client


def _bearer(access: _Access) -> str | Callable[[], Awaitable[str]]:
    """A key or a token: the path `/openai/v1` takes both in the same header."""
    [value] = access.values()
    return cast("str | Callable[[], Awaitable[str]]", value)
