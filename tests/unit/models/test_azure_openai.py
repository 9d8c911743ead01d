"""Addresses, names and credentials of models on Azure."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ServiceRequestError
from tests.support.model_replies import Plan, Reply
from tests.support.model_server import ModelServer

from teamrun.errors import ModelError, UsageError
from teamrun.messages.llm import UserMessage
from teamrun.models import AzureOpenAIChatCompletionClient, AzureTokenProvider
from teamrun.models.content_filter import filtered_categories
from teamrun.models.openai.azure_address import azure_address
from teamrun.models.openai.entra import scope_of

ASK = [UserMessage(content="How many?", source="user")]
RESOURCE = "https://r.openai.azure.com"
V1 = f"{RESOURCE}/openai/v1"
COMPONENT: dict[str, Any] = {
    "provider": "autogen_ext.auth.azure.AzureTokenProvider",
    "component_type": "token_provider",
    "version": 1,
    "config": {"provider_kind": "DefaultAzureCredential", "scopes": []},
}
VARIABLES = (
    "AZURE_OPENAI_ENDPOINT",
    "AZURE_OPENAI_MODEL",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_AD_TOKEN",
    "OPENAI_API_VERSION",
)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def deployment(name: str) -> str:
    return f"{RESOURCE}/openai/deployments/{name}"


@pytest.mark.parametrize(
    ("endpoint", "given", "base_url", "query_version"),
    [
        (RESOURCE, {"api_version": "2024-10-21"}, deployment("gpt-4o"), "2024-10-21"),
        (f"{RESOURCE}/", {"default": "2024-10-21"}, deployment("gpt-4o"), "2024-10-21"),
        (f"{RESOURCE}/openai", {"api_version": "2024-10-21"}, deployment("gpt-4o"), "2024-10-21"),
        (
            RESOURCE,
            {"api_version": "2024-10-21", "deployment": "my one/2"},
            deployment("my%20one%2F2"),
            "2024-10-21",
        ),
        (
            f"{deployment('d%201')}/chat/completions?api-version=2025-01-01-preview",
            {"default": "2024-10-21"},
            deployment("d%201"),
            "2025-01-01-preview",
        ),
        (
            f"{deployment('d1')}?api-version=2025-01-01-preview",
            {"api_version": "2024-10-21", "deployment": "d2"},
            deployment("d2"),
            "2024-10-21",
        ),
        (RESOURCE, {}, V1, None),
        (V1, {}, V1, None),
        (f"{V1}/", {"default": "2024-10-21"}, V1, None),
        (f"{V1}/chat/completions", {"api_version": "v1"}, V1, None),
        (f"{V1}/responses", {}, V1, None),
        (RESOURCE, {"api_version": "latest"}, V1, None),
        (RESOURCE, {"api_version": "preview"}, V1, "preview"),
        (V1, {"default": "preview"}, V1, None),
        (f"{V1}?api-version=preview", {}, V1, "preview"),
        ("https://gate.test/azure/openai/v1", {}, "https://gate.test/azure/openai/v1", None),
        (
            "https://r.services.ai.azure.com/api/projects/p",
            {},
            "https://r.services.ai.azure.com/api/projects/p/openai/v1",
            None,
        ),
    ],
)
def test_every_form_of_an_address_that_the_portal_shows(
    endpoint: str, given: dict[str, str], base_url: str, query_version: str | None
) -> None:
    options: dict[str, Any] = {"deployment": None, "api_version": None, "default": None, **given}
    address = azure_address(endpoint, model="gpt-4o", **options)
    assert address.base_url == base_url
    assert (address.api_version or address.query.get("api-version")) == query_version


@pytest.mark.parametrize(
    ("endpoint", "version"),
    [(V1, "2024-10-21"), (f"{V1}?api-version=2024-10-21", None), (deployment("d"), None)],
)
def test_a_version_that_the_path_refuses_is_an_error(endpoint: str, version: str | None) -> None:
    with pytest.raises(UsageError) as raised:
        AzureOpenAIChatCompletionClient(
            "gpt-4o", endpoint=endpoint, api_version=version, api_key="k"
        )
    assert raised.value.data["argument"] == "api_version"


async def sent(**options: Any) -> dict[str, Any]:
    """The request that a model server receives."""
    async with ModelServer() as server:
        path = options.pop("path", "")
        model = AzureOpenAIChatCompletionClient(endpoint=f"{server.address}{path}", **options)
        await model.create(ASK)
        await model.close()
        [request] = server.requests
    return request


@pytest.mark.behaviour("model.azure")
@pytest.mark.parametrize(
    ("options", "path", "model"),
    [
        ({"api_version": "2024-10-21"}, "/openai/deployments/d1/", "gpt-4o"),
        ({}, "/openai/v1/", "d1"),
        ({"api_version": "preview"}, "/openai/v1/", "d1"),
    ],
)
async def test_the_model_gives_the_capabilities_and_the_deployment_is_called(
    options: dict[str, Any], path: str, model: str
) -> None:
    request = await sent(model="gpt-4o", azure_deployment="d1", api_key="k", **options)
    assert request["path"].startswith(f"{path}chat/completions")
    assert request["body"]["model"] == model


@pytest.mark.parametrize("version", ["2024-10-21", None])
async def test_the_name_of_a_deployment_is_enough_if_it_is_that_of_a_model(
    version: str | None,
) -> None:
    request = await sent(azure_deployment="gpt-4o", api_key="k", api_version=version)
    assert request["body"]["model"] == "gpt-4o"


@pytest.mark.parametrize("version", ["2024-10-21", None])
async def test_the_names_of_an_openai_organization_are_not_sent_to_azure(
    monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    request = await sent(model="gpt-4o", api_key="k", api_version=version)
    assert not {"openai-organization", "openai-project"} & set(request["headers"])


async def key() -> str:
    return "key-1"


async def token() -> str:
    return "token-1"


KEY_HEADERS = ("api-key", "authorization")


@pytest.mark.behaviour("model.azure")
@pytest.mark.parametrize(
    ("options", "environ", "dated", "v1"),
    [
        ({"api_key": "key-1\n"}, {}, ("key-1", None), (None, "Bearer key-1")),
        ({"api_key": key}, {}, ("key-1", None), (None, "Bearer key-1")),
        ({}, {"AZURE_OPENAI_API_KEY": "key-1"}, ("key-1", None), (None, "Bearer key-1")),
        ({"azure_ad_token": "t"}, {}, (None, "Bearer t"), (None, "Bearer t")),
        ({}, {"AZURE_OPENAI_AD_TOKEN": "t"}, (None, "Bearer t"), (None, "Bearer t")),
        (
            {},
            {"AZURE_OPENAI_API_KEY": "key-1", "AZURE_OPENAI_AD_TOKEN": "t\n"},
            (None, "Bearer t"),
            (None, "Bearer t"),
        ),
        (
            {},
            {"AZURE_OPENAI_API_KEY": "key-1", "AZURE_OPENAI_AD_TOKEN": " "},
            ("key-1", None),
            (None, "Bearer key-1"),
        ),
        (
            {"azure_ad_token_provider": token},
            {"AZURE_OPENAI_API_KEY": "key-1", "AZURE_OPENAI_AD_TOKEN": "t"},
            (None, "Bearer token-1"),
            (None, "Bearer token-1"),
        ),
        (
            {"azure_ad_token_provider": lambda: "token-1"},
            {},
            (None, "Bearer token-1"),
            (None, "Bearer token-1"),
        ),
        (
            {"azure_ad_token_provider": lambda: token()},
            {},
            (None, "Bearer token-1"),
            (None, "Bearer token-1"),
        ),
        (
            {"api_key": "key-1"},
            {"AZURE_OPENAI_AD_TOKEN": "t"},
            ("key-1", None),
            (None, "Bearer key-1"),
        ),
    ],
)
async def test_a_key_and_a_token_have_their_headers(
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    environ: dict[str, str],
    dated: tuple[str | None, str | None],
    v1: tuple[str | None, str | None],
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    for version, right in (("2024-10-21", dated), (None, v1)):
        request = await sent(model="gpt-4o", api_version=version, **options)
        headers: dict[str, str] = request["headers"]
        assert tuple(headers.get(name) for name in KEY_HEADERS) == right


@pytest.mark.parametrize("given", ["", None, 3])
async def test_a_provider_without_a_token_is_an_error(given: Any) -> None:
    model = AzureOpenAIChatCompletionClient(
        "gpt-4o", endpoint=RESOURCE, azure_ad_token_provider=lambda: given
    )
    with pytest.raises(ModelError) as raised:
        await model.create(ASK)
    assert not raised.value.retryable
    assert "azure_ad_token_provider" in raised.value.message


@pytest.mark.parametrize(
    ("failure", "retryable"), [(LookupError("no vault"), False), (OSError("no vault"), True)]
)
async def test_a_provider_that_raises_is_an_error_of_the_call(
    failure: Exception, retryable: bool
) -> None:
    def provider() -> str:
        raise failure

    model = AzureOpenAIChatCompletionClient(
        "gpt-4o", endpoint=RESOURCE, azure_ad_token_provider=provider, max_retries=0
    )
    with pytest.raises(ModelError) as raised:
        await model.create(ASK)
    assert "azure_ad_token_provider" in raised.value.message
    assert "no vault" in raised.value.message
    assert raised.value.retryable is retryable


class AsyncCredential:
    """A credential like those of `azure.identity.aio`, which need aiohttp."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.scopes: list[str] = []
        self.threads: set[int] = set()
        self._failure = failure

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.scopes.extend(scopes)
        self.threads.add(threading.get_ident())
        if self._failure is not None:
            raise self._failure
        return AccessToken("token-1", 4_102_444_800)


async def test_an_asynchronous_credential_is_awaited_and_its_token_kept() -> None:
    credential = AsyncCredential()
    provider = AzureTokenProvider(credential, "s/.default")
    assert await asyncio.gather(*(provider() for _ in range(5))) == ["token-1"] * 5
    assert await provider() == "token-1"
    assert credential.scopes == ["s/.default"]
    assert credential.threads == {threading.get_ident()}


@pytest.mark.parametrize(
    ("failure", "retryable"), [(ServiceRequestError("down"), True), (ValueError("no"), False)]
)
async def test_an_asynchronous_credential_that_fails(failure: Exception, retryable: bool) -> None:
    with pytest.raises(ModelError) as raised:
        await AzureTokenProvider(AsyncCredential(failure))()
    assert raised.value.retryable is retryable
    assert raised.value.data["tried"] == ["AsyncCredential"]


def test_without_key_and_token_the_identity_is_used() -> None:
    model = AzureOpenAIChatCompletionClient("gpt-4o", endpoint=RESOURCE)
    assert model.model_info["family"] == "gpt-4o"


@pytest.mark.parametrize(
    "given",
    [
        {"api_key": "k", "azure_ad_token": "t"},
        {"api_key": "k", "azure_ad_token_provider": token},
        {"azure_ad_token": "t", "azure_ad_token_provider": COMPONENT},
    ],
)
def test_two_credentials_are_an_error(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as raised:
        AzureOpenAIChatCompletionClient("gpt-4o", endpoint=RESOURCE, **given)
    assert all(name in raised.value.message for name in given)


@pytest.mark.parametrize(
    ("options", "argument", "variable"),
    [
        ({"model": "gpt-4o"}, "azure_endpoint", "AZURE_OPENAI_ENDPOINT"),
        ({"endpoint": RESOURCE}, "model", "AZURE_OPENAI_MODEL"),
    ],
)
def test_a_missing_value_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], argument: str, variable: str
) -> None:
    with pytest.raises(UsageError) as raised:
        AzureOpenAIChatCompletionClient(api_key="k", **options)
    assert raised.value.data["argument"] == argument
    assert variable in raised.value.message
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", RESOURCE)
    monkeypatch.setenv("AZURE_OPENAI_MODEL", "gpt-4o")
    AzureOpenAIChatCompletionClient(api_key="k", **options)


def other(**changes: Any) -> dict[str, Any]:
    return {**COMPONENT, **changes}


@pytest.mark.parametrize(
    "component",
    [
        other(provider="os.system"),
        other(provider="autogen_ext.models.openai.OpenAIChatCompletionClient"),
        other(config=None),
        other(config={"provider_kind": "ManagedIdentityCredential", "scopes": ["s"]}),
        other(config={"provider_kind": "DefaultAzureCredential", "scopes": "s"}),
        other(config={"provider_kind": "DefaultAzureCredential", "scopes": [3]}),
        {"config": COMPONENT["config"]},
    ],
)
def test_another_component_in_place_of_a_token_provider_is_refused(
    component: dict[str, Any],
) -> None:
    assert AzureTokenProvider.from_component(COMPONENT)
    with pytest.raises(UsageError) as raised:
        AzureOpenAIChatCompletionClient(
            "gpt-4o", endpoint=RESOURCE, azure_ad_token_provider=component
        )
    assert raised.value.data["argument"] == "azure_ad_token_provider"


@pytest.mark.parametrize(
    ("endpoint", "cloud"),
    [
        (RESOURCE, "azure.com"),
        ("https://r.openai.azure.us", "azure.us"),
        ("https://r.openai.azure.cn/", "azure.cn"),
        ("https://gateway.test", "azure.com"),
    ],
)
def test_a_token_is_for_the_cloud_of_the_resource(endpoint: str, cloud: str) -> None:
    assert scope_of(endpoint) == f"https://cognitiveservices.{cloud}/.default"


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "Cognitive Services OpenAI User"), (403, "network rules"), (404, "azure_deployment")],
)
async def test_a_refusal_says_what_to_check(
    status: int, words: str, refusing: Callable[[int], ModelServer]
) -> None:
    async with refusing(status) as server:
        model = AzureOpenAIChatCompletionClient("gpt-4o", endpoint=server.address, api_key="k")
        with pytest.raises(ModelError) as raised:
            await model.create(ASK)
        await model.close()
    assert raised.value.status_code == status
    assert words in raised.value.message


@pytest.fixture
def refusing() -> Callable[[int], ModelServer]:
    return lambda status: ModelServer(Plan(default=Reply(status=status)))


def test_categories_of_a_filter_are_names_and_nothing_else() -> None:
    body = {
        "error": {
            "innererror": {
                "content_filter_result": {
                    "hate": {"filtered": True, "severity": "high"},
                    "violence": {"filtered": False},
                    "The user's words": {"filtered": True},
                    "custom_blocklists": [{"id": "names", "filtered": True}],
                    "jailbreak": "yes",
                }
            }
        }
    }
    assert filtered_categories(body) == ["hate", "custom_blocklists"]
    odd: list[Any] = [{"content_filter_results": []}, "x", None]
    assert filtered_categories(odd) == []
    deep: Any = {"content_filter_results": {"hate": {"filtered": True}}}
    for _ in range(10_000):
        deep = {"x": deep}
    assert filtered_categories(deep) == []
