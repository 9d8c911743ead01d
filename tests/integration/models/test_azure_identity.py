"""Models on Azure with Microsoft Entra ID: the real `azure-identity` over real HTTP."""

import asyncio
import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.identity import (
    ChainedTokenCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
    get_bearer_token_provider,
)
from tests.support.certificates import Authority
from tests.support.model_server import ModelServer
from tests.support.token_server import TENANT, TokenServer, token_server

from teamrun.errors import ModelError
from teamrun.messages.llm import UserMessage
from teamrun.models import AzureOpenAIChatCompletionClient, AzureTokenProvider, RetryPolicy
from teamrun.testing import FakeClock

ASK = [UserMessage(content="How many?", source="user")]
SCOPE = "https://cognitiveservices.azure.com/.default"
SECRET = "secret-of-the-service-principal"
HEADER = "secret-header-of-app-service"
UNAVAILABLE = (503, {"error": "temporarily_unavailable", "error_description": "AADSTS90033"})
REFUSED = (
    401,
    {
        "error": "invalid_client",
        "error_description": f"AADSTS7000215: Invalid client secret provided: {SECRET}.",
    },
)


@pytest.fixture(autouse=True)
def no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")  # a developer's own could answer


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[TokenServer]:
    """Microsoft Entra ID; the environment has a service principal of it."""
    certificates = Authority(tmp_path, "entra")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca_file))
    with token_server(certificates.server()) as server:
        set_all(monkeypatch, server.service_principal(SECRET))
        yield server


@pytest.fixture
def app_service(monkeypatch: pytest.MonkeyPatch) -> Generator[TokenServer]:
    """The endpoint of App Service and Functions; the environment is that of such an app."""
    with token_server() as server:
        set_all(monkeypatch, server.app_service(HEADER))
        yield server


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def quick() -> DefaultAzureCredential:
    """The default credential without its own retries, which take seconds."""
    return DefaultAzureCredential(retry_total=0)


def client(server: ModelServer, **options: Any) -> AzureOpenAIChatCompletionClient:
    options.setdefault("retry", RetryPolicy(max_retries=1, first_delay=timedelta(0), jitter=0))
    return AzureOpenAIChatCompletionClient("gpt-4o", endpoint=server.address, **options)


async def authorizations(**options: Any) -> list[str]:
    """The header that a model server receives, with each path of the API."""
    async with ModelServer() as server:
        for version in ("2024-10-21", None):
            model = client(server, api_version=version, **options)
            await model.create(ASK)
            await model.close()
        assert all("api-key" not in request["headers"] for request in server.requests)
        return [request["headers"]["authorization"] for request in server.requests]


async def failure(provider: AzureTokenProvider) -> ModelError:
    with pytest.raises(ModelError) as raised:
        await provider()
    return raised.value


async def test_a_service_principal_of_the_environment(authority: TokenServer) -> None:
    sent = await authorizations()
    assert sent == ["Bearer token-1-of-entra", "Bearer token-2-of-entra"]
    asked = authority.requests[0]["form"]
    assert (asked["client_id"], asked["client_secret"]) == ("client-1", SECRET)
    assert asked["scope"] == SCOPE


async def test_the_managed_identity_of_app_service_and_functions(app_service: TokenServer) -> None:
    assert await authorizations() == ["Bearer token-1-of-entra", "Bearer token-2-of-entra"]
    asked = app_service.requests[0]
    assert asked["headers"]["x-identity-header"] == HEADER
    assert asked["query"]["resource"] == "https://cognitiveservices.azure.com"
    assert "client_id" not in asked["query"]


async def test_a_user_assigned_managed_identity(
    app_service: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", "assigned-1")
    await AzureTokenProvider()()
    assert app_service.requests[0]["query"]["client_id"] == "assigned-1"


async def test_the_managed_identity_of_a_virtual_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with token_server() as server:
        set_all(monkeypatch, server.metadata_service())
        assert await AzureTokenProvider()() == "token-1-of-entra"
        assert server.requests[0]["headers"]["metadata"] == "true"


async def test_calls_at_the_same_time_make_one_request_for_a_token(
    app_service: TokenServer,
) -> None:
    async with ModelServer() as server:
        model = client(server)
        await asyncio.gather(*(model.create(ASK) for _ in range(20)))
        await model.close()
        assert server.calls == 20
    assert len(app_service.requests) == 1


async def test_event_loops_of_several_threads_share_a_token(app_service: TokenServer) -> None:
    app_service.lifetime_seconds = 250  # `msal` would ask again for each of them
    provider = AzureTokenProvider()
    tokens: list[str] = []

    async def ask() -> str:
        return await provider()

    threads = [threading.Thread(target=lambda: tokens.append(asyncio.run(ask()))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert tokens == ["token-1-of-entra"] * 5
    assert len(app_service.requests) == 1


async def test_a_token_is_renewed_in_the_background_before_its_end(
    app_service: TokenServer,
) -> None:
    app_service.lifetime_seconds = 250
    clock = FakeClock(datetime.now(UTC))
    provider = AzureTokenProvider(clock=clock)
    assert await provider() == "token-1-of-entra"
    assert await provider() == "token-1-of-entra"  # renewed at most once in 30 seconds
    assert len(app_service.requests) == 1

    app_service.answers.clear()
    app_service.asked.clear()
    clock.advance(timedelta(seconds=31))
    assert await provider() == "token-1-of-entra"  # though the request for the next one waits
    await asyncio.to_thread(app_service.asked.wait)
    app_service.answers.set()
    async with asyncio.timeout(10):
        while await provider() == "token-1-of-entra":  # noqa: ASYNC110 - a thread renews it
            await asyncio.sleep(0)


async def test_a_token_that_has_ended_is_not_sent(app_service: TokenServer) -> None:
    app_service.lifetime_seconds = 250
    clock = FakeClock(datetime.now(UTC))
    provider = AzureTokenProvider(clock=clock)
    async with ModelServer() as server:
        model = client(server, azure_ad_token_provider=provider)
        await model.create(ASK)
        clock.advance(timedelta(seconds=241))
        await model.create(ASK)
        await model.close()
        sent = [request["headers"]["authorization"] for request in server.requests]
    assert sent == ["Bearer token-1-of-entra", "Bearer token-2-of-entra"]


async def test_a_renewal_that_fails_harms_no_call_while_the_token_is_valid(
    app_service: TokenServer, caplog: pytest.LogCaptureFixture
) -> None:
    app_service.lifetime_seconds = 250
    clock = FakeClock(datetime.now(UTC))
    provider = AzureTokenProvider(quick(), clock=clock)
    await provider()
    app_service.drops = 2
    clock.advance(timedelta(seconds=31))
    async with asyncio.timeout(10):
        while "No new token of Microsoft Entra ID" not in caplog.messages:
            assert await provider() == "token-1-of-entra"
            await asyncio.sleep(0)
    clock.advance(timedelta(seconds=210))
    assert (await failure(provider)).retryable
    assert await provider() == "token-4-of-entra"


async def test_the_event_loop_goes_on_while_a_token_is_awaited(app_service: TokenServer) -> None:
    app_service.answers.clear()
    async with ModelServer() as server:
        model = client(server)
        call = asyncio.ensure_future(model.create(ASK))
        await asyncio.to_thread(app_service.asked.wait)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not call.done()
        app_service.answers.set()
        await call
        await model.close()


async def test_a_cancelled_call_does_not_take_the_token_from_the_others(
    app_service: TokenServer,
) -> None:
    app_service.answers.clear()
    provider = AzureTokenProvider()
    first, second = (asyncio.ensure_future(provider()) for _ in range(2))
    await asyncio.to_thread(app_service.asked.wait)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    app_service.answers.set()
    assert await second == "token-1-of-entra"


async def test_a_token_endpoint_that_does_not_answer(app_service: TokenServer) -> None:
    app_service.answers.clear()
    error = await failure(AzureTokenProvider(timeout=timedelta(milliseconds=50)))
    assert error.retryable
    assert error.data["timed_out"] is True


async def test_a_refused_secret_is_told_and_not_tried_again(authority: TokenServer) -> None:
    authority.refusal = REFUSED
    async with ModelServer() as server:
        model = client(server)
        with pytest.raises(ModelError) as raised:
            await model.create(ASK)
        await model.close()
        assert server.calls == 0
    error = raised.value
    assert not error.retryable
    assert error.data["tried"] == ["EnvironmentCredential"]
    assert error.data["provider_code"] == "no_token"
    assert "AADSTS7000215" in error.message
    assert "AZURE_OPENAI_API_KEY" in error.message
    assert SECRET not in error.message
    assert len(authority.requests) == 1


async def test_calls_that_fail_together_have_errors_of_their_own(authority: TokenServer) -> None:
    authority.refusal = REFUSED
    provider = AzureTokenProvider()
    first, second = await asyncio.gather(provider(), provider(), return_exceptions=True)
    assert len(authority.requests) == 1
    assert isinstance(first, ModelError)
    assert isinstance(second, ModelError)
    first.data["attempts"] = 3
    assert "attempts" not in second.data


async def test_a_transient_failure_of_entra_is_tried_again(
    authority: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", quick)
    authority.refusal = UNAVAILABLE
    clock = FakeClock()
    async with ModelServer() as server:
        model = client(server, retry=RetryPolicy(max_retries=1, jitter=0), clock=clock)
        with pytest.raises(ModelError) as raised:
            [_ async for _ in model.create_stream(ASK)]
        assert raised.value.data["attempts"] == 2
        assert clock.sleeps == [0.5]
        authority.refusal = None  # `msal` would go on to answer 503 itself for a minute
        assert (await model.create(ASK)).content
        await model.close()


async def test_a_credential_of_the_callers_own_is_asked_again_when_it_asks_entra_again(
    authority: TokenServer,
) -> None:
    authority.refusal = UNAVAILABLE
    error = await failure(AzureTokenProvider(quick()))
    assert error.retryable
    assert error.data["retry_after"] == 60


async def test_a_call_goes_on_when_the_token_endpoint_is_back(app_service: TokenServer) -> None:
    app_service.drops = 1
    async with ModelServer() as server:
        model = client(server, azure_ad_token_provider=AzureTokenProvider(quick()))
        assert (await model.create(ASK)).content
        await model.close()
    assert len(app_service.requests) == 2


async def test_a_token_endpoint_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with token_server() as server:
        gone = server.app_service(HEADER)
    set_all(monkeypatch, gone)
    error = await failure(AzureTokenProvider(quick()))
    assert error.retryable
    assert error.data["tried"][-1] == "ManagedIdentityCredential"


@pytest.mark.parametrize(
    ("answer", "retryable"),
    [
        ((500, {"statusCode": 500, "message": f"An error, {HEADER}"}), True),
        ((400, {"statusCode": 400, "message": f"No managed identity, {HEADER}"}), False),
    ],
)
async def test_a_managed_identity_that_is_refused(
    app_service: TokenServer, answer: tuple[int, dict[str, Any]], retryable: bool
) -> None:
    app_service.refusal = answer
    error = await failure(AzureTokenProvider(quick()))
    assert error.retryable is retryable
    assert HEADER not in str(error.as_json())
    assert str(answer[0]) in error.message


async def test_a_machine_without_an_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    with token_server() as server:
        gone = server.metadata_service()
    set_all(monkeypatch, gone)
    error = await failure(AzureTokenProvider(quick()))
    assert not error.retryable
    assert error.data["tried"] == [
        "EnvironmentCredential",
        "WorkloadIdentityCredential",
        "ManagedIdentityCredential",
    ]
    assert all(way in error.message for way in ("AZURE_CLIENT_SECRET", "az login", "api_key="))


@pytest.mark.parametrize(
    "variables",
    [{"AZURE_TOKEN_CREDENTIALS": "bogus"}, {"AZURE_AUTHORITY_HOST": "http://login.test"}],
)
async def test_an_environment_that_azure_identity_refuses(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    set_all(monkeypatch, variables)
    error = await failure(AzureTokenProvider())
    assert not error.retryable
    assert next(iter(variables.values())).split("://")[-1] in error.message


async def test_credentials_of_the_callers_own(authority: TokenServer) -> None:
    secret = ClientSecretCredential(TENANT, "mine", "mine-2", authority=authority.address)
    chain = ChainedTokenCredential(ManagedIdentityCredential(retry_total=0), secret)
    for credential in (secret, chain):
        assert (await AzureTokenProvider(credential, "api://own/.default")()).startswith("token-")
    assert {request["form"]["client_id"] for request in authority.requests} == {"mine"}
    assert {request["form"]["scope"] for request in authority.requests} == {"api://own/.default"}
    assert type(chain.credentials[1]) is ClientSecretCredential  # left as it was


async def test_the_blocking_provider_of_azure_identity_is_asked_off_the_loop_and_once(
    app_service: TokenServer,
) -> None:
    app_service.answers.clear()
    provider = get_bearer_token_provider(ManagedIdentityCredential(), SCOPE)
    async with ModelServer() as server:
        model = client(server, azure_ad_token_provider=provider)
        calls = [asyncio.ensure_future(model.create(ASK)) for _ in range(10)]
        await asyncio.to_thread(app_service.asked.wait)  # the loop goes on
        app_service.answers.set()
        await asyncio.gather(*calls)
        await model.close()
    assert len(app_service.requests) == 1


async def test_autogens_component_of_a_token_provider(app_service: TokenServer) -> None:
    component = {
        "provider": "autogen_ext.auth.azure.AzureTokenProvider",
        "component_type": "token_provider",
        "version": 1,
        "config": {"provider_kind": "DefaultAzureCredential", "scopes": [SCOPE]},
    }
    sent = await authorizations(azure_ad_token_provider=component)
    assert sent == ["Bearer token-1-of-entra", "Bearer token-2-of-entra"]
