"""Names, variables and keys by which guides to AutoGen create models of a cloud."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from tests.support.bedrock import CLAUDE, use_keys
from tests.support.model_server import ModelServer

from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError, TeamrunError, UsageError
from teamrun.messages.llm import UserMessage
from teamrun.models import (
    AzureOpenAIChatCompletionClient,
    BedrockChatCompletionClient,
    ChatCompletionClient,
    OpenAIChatCompletionClient,
    model_client_from_env,
)
from teamrun.models.providers import PROVIDERS

ASK = [UserMessage(content="How many?", source="user")]
VARIABLES = {
    "AZURE_OPENAI_AD_TOKEN",
    "AZURE_OPENAI_API_KEY",
    "LLM_PROVIDER",
    "MODEL_TEMPERATURE",
    *(name for row in PROVIDERS.values() for name in (*row.variables.values(), *row.signs)),
}


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


async def asked(model: ChatCompletionClient, server: ModelServer) -> dict[str, Any]:
    await model.create(ASK)
    await model.close()
    return server.requests[-1]


@pytest.mark.behaviour("model.openai.no_model")
async def test_a_client_without_a_model_takes_it_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UsageError) as raised:
        OpenAIChatCompletionClient(api_key="k", org_id="org-1")
    assert raised.value.data["argument"] == "model"
    monkeypatch.setenv("OPENAI_MODEL", "gpt-4o-mini")
    async with ModelServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        request = await asked(OpenAIChatCompletionClient(api_key="k", org_id="org-1"), server)
    assert request["body"]["model"] == "gpt-4o-mini"
    assert request["headers"]["openai-organization"] == "org-1"


@pytest.mark.behaviour("model.openai.builder")
async def test_a_client_from_a_builder() -> None:
    async with ModelServer() as server:
        builder = OpenAIChatCompletionClient.builder().with_model("gpt-4o").with_temperature(0.25)
        builder = builder.with_max_tokens(64).with_api_key("key-1").with_base_url(server.base_url)
        request = await asked(builder.build(), server)
    body = request["body"]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("gpt-4o", 0.25, 64)
    assert request["headers"]["authorization"] == "Bearer key-1"


@pytest.mark.behaviour("model.azure.endpoint")
async def test_a_client_of_azure_by_the_names_of_the_guides() -> None:
    async with ModelServer() as server:
        model = AzureOpenAIChatCompletionClient(
            endpoint=server.address, model="gpt-4o", api_version="2024-10-21", api_key="key-1"
        )
        request = await asked(model, server)
    right = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
    assert (request["path"], request["headers"]["api-key"]) == (right, "key-1")


@pytest.mark.behaviour("model.bedrock")
@pytest.mark.parametrize("by_position", [False, True])
async def test_a_client_of_bedrock_by_the_names_of_the_guides(
    monkeypatch: pytest.MonkeyPatch, by_position: bool
) -> None:
    use_keys(monkeypatch)
    async with ModelServer() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.address)
        model = (
            BedrockChatCompletionClient(CLAUDE, "eu-west-1")
            if by_position
            else BedrockChatCompletionClient(model_id=CLAUDE, region="eu-west-1")
        )
        request = await asked(model, server)
    assert unquote(request["path"]) == f"/model/{CLAUDE}/converse"
    assert "/eu-west-1/bedrock/" in request["headers"]["authorization"]


@pytest.mark.parametrize("named", [False, True])
async def test_the_environment_describes_a_client_of_bedrock(
    monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    use_keys(monkeypatch)
    environ = {
        "BEDROCK_MODEL_ID": CLAUDE,
        "AWS_REGION": "eu-west-1",
        "MODEL_TEMPERATURE": "0.25",
        **({"LLM_PROVIDER": "bedrock"} if named else {}),
    }
    async with ModelServer() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.address)
        request = await asked(model_client_from_env(environ), server)
    assert unquote(request["path"]) == f"/model/{CLAUDE}/converse"
    assert "/eu-west-1/bedrock/" in request["headers"]["authorization"]
    assert request["body"]["inferenceConfig"]["temperature"] == 0.25


@pytest.mark.behaviour("model.from_env")
@pytest.mark.parametrize(
    ("environ", "path", "headers"),
    [
        (
            {
                "OPENAI_API_KEY": "key-1",
                "OPENAI_BASE_URL": "{address}/v1",
                "OPENAI_MODEL": "gpt-4o",
                "OPENAI_ORG_ID": "org-1",
            },
            "/v1/chat/completions",
            {"authorization": "Bearer key-1", "openai-organization": "org-1"},
        ),
        (
            {
                "LLM_PROVIDER": "azure",
                "OPENAI_API_KEY": "key-2",
                "AZURE_OPENAI_API_KEY": "key-1",
                "AZURE_OPENAI_ENDPOINT": "{address}",
                "AZURE_OPENAI_MODEL": "gpt-4o",
                "OPENAI_API_VERSION": "2024-10-21",
            },
            "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
            {"api-key": "key-1"},
        ),
        (
            {
                "AZURE_OPENAI_API_KEY": "key-1",
                "AZURE_OPENAI_AD_TOKEN": "token-1",
                "AZURE_OPENAI_ENDPOINT": "{address}",
                "AZURE_OPENAI_MODEL": "gpt-4o",
                "OPENAI_API_VERSION": "2024-10-21",
            },
            "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
            {"authorization": "Bearer token-1"},
        ),
        (
            {
                "AZURE_OPENAI_API_KEY": "key-1",
                "AZURE_OPENAI_ENDPOINT": "{address}/openai/v1/",
                "AZURE_OPENAI_MODEL": "gpt-4o",
            },
            "/openai/v1/chat/completions",
            {"authorization": "Bearer key-1"},
        ),
        (
            {
                "LLM_PROVIDER": " Azure_OpenAI ",
                "AZURE_OPENAI_API_KEY": "key-1",
                "AZURE_OPENAI_ENDPOINT": "{address}",
                "AZURE_OPENAI_MODEL": "gpt-4o",
                "OPENAI_API_VERSION": "preview",
            },
            "/openai/v1/chat/completions?api-version=preview",
            {"authorization": "Bearer key-1"},
        ),
    ],
)
async def test_the_environment_describes_a_client(
    environ: dict[str, str], path: str, headers: dict[str, str]
) -> None:
    async with ModelServer() as server:
        given = {name: text.format(address=server.address) for name, text in environ.items()}
        model = model_client_from_env({**given, "MODEL_TEMPERATURE": "0.25"})
        request = await asked(model, server)
    assert request["path"] == path
    assert headers.items() <= request["headers"].items()
    assert (request["body"]["model"], request["body"]["temperature"]) == ("gpt-4o", 0.25)


@pytest.mark.behaviour("model.from_env")
@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, ("LLM_PROVIDER", "OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "BEDROCK_MODEL_ID")),
        ({"LLM_PROVIDER": "bedrock"}, ("BEDROCK_MODEL_ID",)),
        ({"LLM_PROVIDER": "openai"}, ("OPENAI_MODEL",)),
        ({"LLM_PROVIDER": "openai", "OPENAI_MODEL": "gpt-4o"}, ("OPENAI_API_KEY",)),
        ({"LLM_PROVIDER": "azure"}, ("AZURE_OPENAI_MODEL",)),
        ({"LLM_PROVIDER": "azure", "AZURE_OPENAI_MODEL": "gpt-4o"}, ("AZURE_OPENAI_ENDPOINT",)),
        ({"LLM_PROVIDER": "opnai"}, ("Did you mean 'openai'",)),
        ({"LLM_PROVIDER": "google", "GOOGLE_API_KEY": "k"}, ("not available yet", "gemini-")),
        ({"LLM_PROVIDER": "anthropic"}, ("ANTHROPIC_MODEL",)),
        ({"ANTHROPIC_MODEL": "claude-sonnet-5"}, ("ANTHROPIC_API_KEY",)),
        ({"LLM_PROVIDER": "mistral"}, ("MISTRAL_MODEL",)),
        ({"LLM_PROVIDER": "mistral", "MISTRAL_MODEL": "m"}, ("MISTRAL_API_KEY",)),
        ({"LLM_PROVIDER": "ollama"}, ("OLLAMA_MODEL",)),
    ],
)
def test_what_the_environment_lacks_is_named(
    environ: dict[str, str], words: tuple[str, ...]
) -> None:
    with pytest.raises(TeamrunError) as raised:
        model_client_from_env(environ)
    assert isinstance(raised.value, UsageError | DefinitionError)
    assert all(word in raised.value.message for word in words)


FILE = """
version: 1
models:
{models}
agents:
  writer: {{model: main}}
teams:
  team: {{type: round_robin_group_chat, agents: [writer], max_turns: 1}}
"""
KEYS = "temperature: 0.25, max_tokens: 64, top_p: 0.5"


@pytest.mark.behaviour("config.models.types")
@pytest.mark.parametrize(
    ("profile", "path"),
    [
        ("main: {{type: openai, model: gpt-4o, endpoint: '{url}/v1', {keys}}}", "/v1/"),
        ("main: {{type: openai, model_id: gpt-4o, base_url: '{url}/v1', {keys}}}", "/v1/"),
        ("main: {{model: gpt-4o, endpoint: '{url}/v1', {keys}}}", "/v1/"),
        ("- {{name: main, model: gpt-4o, endpoint: '{url}/v1', {keys}}}", "/v1/"),
        (
            "main: {{type: azure_openai, model: gpt-4o, endpoint: '{url}', "
            "api_version: '2024-10-21', {keys}}}",
            "/openai/deployments/gpt-4o/",
        ),
        (
            "main: {{type: azure_openai, model_id: gpt-4o, azure_endpoint: '{url}', "
            "azure_deployment: d1, api_version: '2024-10-21', {keys}}}",
            "/openai/deployments/d1/",
        ),
        (
            "- {{name: main, type: azure_openai, model: gpt-4o, endpoint: '{url}', {keys}}}",
            "/openai/v1/",
        ),
    ],
)
async def test_the_keys_of_a_profile_in_the_configuration_file(
    tmp_path: Path, profile: str, path: str
) -> None:
    file = tmp_path / "teamrun.yaml"
    async with ModelServer() as server:
        keys = f"api_key: '${{OWN_KEY}}', {KEYS}"
        models = f"  {profile.format(url=server.address, keys=keys)}"
        file.write_text(FILE.format(models=models), encoding="utf-8")
        registry = load_registry(file, environ={"OWN_KEY": "key-1"})
        request = await asked(registry.model_client("main"), server)
    assert request["path"].startswith(f"{path}chat/completions")
    body = request["body"]
    assert (body["temperature"], body["max_tokens"], body["top_p"]) == (0.25, 64, 0.5)
    headers = request["headers"]
    assert "key-1" in (headers.get("api-key"), headers.get("authorization", "")[7:])


@pytest.mark.behaviour("config.models.types")
@pytest.mark.parametrize("model", ["model", "model_id"])
async def test_the_keys_of_a_profile_of_bedrock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    use_keys(monkeypatch)
    file = tmp_path / "teamrun.yaml"
    async with ModelServer() as server:
        place = f"region: eu-west-1, endpoint: '{server.address}'"
        models = f"  main: {{type: bedrock, {model}: '{CLAUDE}', {place}, {KEYS}}}"
        file.write_text(FILE.format(models=models), encoding="utf-8")
        registry = load_registry(file, environ={})
        request = await asked(registry.model_client("main"), server)
    given = request["body"]["inferenceConfig"]
    assert (given["temperature"], given["maxTokens"], given["topP"]) == (0.25, 64, 0.5)
    assert "/eu-west-1/bedrock/" in request["headers"]["authorization"]


@pytest.mark.parametrize("type_", ["openai", "azure_openai"])
def test_a_key_of_another_provider_is_an_error_with_a_hint(tmp_path: Path, type_: str) -> None:
    file = tmp_path / "teamrun.yaml"
    models = f"  main: {{type: {type_}, model: gpt-4o, api_key: k, region: us-east-1}}"
    file.write_text(FILE.format(models=models), encoding="utf-8")
    with pytest.raises(DefinitionError) as raised:
        load_registry(file, environ={})
    assert raised.value.pointer == "/models/main/region"
