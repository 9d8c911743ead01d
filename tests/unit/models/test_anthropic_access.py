"""The address and the key of Anthropic's protocol, in programs and in the operator's file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from tests.support.model_server import ModelServer

from teamrun.components.reading.profiles import implicit_profile
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError, ModelError, UsageError
from teamrun.messages.llm import UserMessage
from teamrun.models import (
    AnthropicChatCompletionClient,
    ChatCompletionClient,
    ModelWrapper,
    model_client_from_env,
)
from teamrun.models.makers import KEY_VARIABLES
from teamrun.models.wrong_arguments import ModelArgumentError

ANTHROPIC = "api.anthropic.com"
KEYS = {variable: f"key-of-{variable}" for variable in KEY_VARIABLES}
"""The key of every company, so that a wrong one would be found."""


@dataclass
class Wire:
    """Replaces the network, since addresses of companies must not be called: keeps requests."""

    requests: list[httpx2.Request] = field(default_factory=list[httpx2.Request])

    def client(self) -> httpx2.AsyncClient:
        def answer(request: httpx2.Request) -> httpx2.Response:
            self.requests.append(request)
            return httpx2.Response(400, json={"error": {"message": "no"}})

        return httpx2.AsyncClient(transport=httpx2.MockTransport(answer))

    @property
    def sent(self) -> tuple[str, str]:
        (request,) = self.requests
        return request.url.host, request.headers["authorization"].removeprefix("Bearer ")


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


async def ask(client: ChatCompletionClient) -> None:
    with pytest.raises(ModelError):
        await client.create([UserMessage(content="Hi", source="user")])


@dataclass(frozen=True)
class Reached:
    """How Anthropic's protocol is reached with an environment, and what is sent there."""

    id: str
    environ: dict[str, str]
    options: dict[str, Any]
    host: str
    key: str


REACHED = [
    Reached("its own", {}, {}, ANTHROPIC, KEYS["ANTHROPIC_API_KEY"]),
    Reached(
        "the configured server",
        {"ANTHROPIC_BASE_URL": "https://gateway.test/a"},
        {},
        "gateway.test",
        KEYS["ANTHROPIC_API_KEY"],
    ),
    Reached("another server", {}, {"base_url": "https://other.test"}, "other.test", "none"),
    Reached(
        "another server with its key",
        {},
        {"base_url": "https://other.test", "api_key": " key-2\n"},
        "other.test",
        "key-2",
    ),
    Reached(
        "another company",
        {},
        {"base_url": "https://api.deepseek.com/anthropic"},
        "api.deepseek.com",
        KEYS["DEEPSEEK_API_KEY"],
    ),
]


@pytest.mark.parametrize("case", REACHED, ids=lambda case: case.id)
async def test_the_address_decides_the_key_of_anthropics_protocol(
    case: Reached, environ: pytest.MonkeyPatch
) -> None:
    for name, value in case.environ.items():
        environ.setenv(name, value)
    environ.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Of-Environment: of-anthropic-only")
    environ.setenv("ANTHROPIC_AUTH_TOKEN", "token-of-environment")
    wire = Wire()
    client = AnthropicChatCompletionClient(
        "claude-sonnet-5",
        http_client=wire.client(),
        max_retries=0,
        default_headers={"X-Mine": "m"},
        **case.options,
    )
    await ask(client)
    assert wire.sent == (case.host, case.key)
    (request,) = wire.requests
    assert request.headers["x-mine"] == "m"
    assert ("x-of-environment" in request.headers) is (case.host == ANTHROPIC)
    assert "token-of-environment" not in str(request.headers.raw)


def test_anthropics_client_needs_a_model_and_a_key(environ: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelArgumentError, match="ANTHROPIC_MODEL"):
        AnthropicChatCompletionClient()
    environ.setenv("ANTHROPIC_MODEL", "claude-sonnet-5")
    assert AnthropicChatCompletionClient().base_url == "https://api.anthropic.com"
    environ.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(ModelArgumentError, match="set ANTHROPIC_API_KEY"):
        AnthropicChatCompletionClient()
    with pytest.raises(UsageError, match="base_url must begin with"):
        AnthropicChatCompletionClient(base_url="api.anthropic.com", api_key="k")
    with pytest.raises(ModelArgumentError, match="Nothing is known about the model 'abc'"):
        AnthropicChatCompletionClient("abc", api_key="k")


async def test_the_environment_describes_a_client() -> None:
    async with ModelServer() as server:
        environ = {
            "ANTHROPIC_MODEL": "claude-sonnet-4-6",
            "ANTHROPIC_API_KEY": "key-1",
            "ANTHROPIC_BASE_URL": server.address,
            "MODEL_TEMPERATURE": "0.25",
        }
        model = model_client_from_env(environ)
        assert isinstance(model, AnthropicChatCompletionClient)
        await model.create([UserMessage(content="Hi", source="user")])
        await model.close()
        [request] = server.requests
    assert request["headers"]["authorization"] == "Bearer key-1"
    assert (request["body"]["model"], request["body"]["temperature"]) == ("claude-sonnet-4-6", 0.25)


def registry_of(tmp_path: Path, profile: dict[str, Any], **environ: str) -> Registry:
    file = tmp_path / "teamrun.yaml"
    content = {"models": {"main": {"type": "anthropic", **profile}}}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_registry(file, environ=environ)


@pytest.mark.parametrize(
    ("profile", "environ", "address"),
    [
        ({}, {"ANTHROPIC_API_KEY": "k"}, "https://api.anthropic.com"),
        (
            {"prompt_caching": "true", "thinking": {"type": "adaptive"}, "max_tokens": "100"},
            {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "https://gateway.test"},
            "https://gateway.test",
        ),
        ({"endpoint": "http://127.0.0.1:1"}, {}, "http://127.0.0.1:1"),
        ({"base_url": "${A:-}", "api_key": "k"}, {}, "https://api.anthropic.com"),
    ],
)
def test_a_profile_is_reached_as_its_environment_says(
    tmp_path: Path, profile: dict[str, Any], environ: dict[str, str], address: str
) -> None:
    registry = registry_of(tmp_path, {"model_id": "claude-sonnet-5", **profile}, **environ)
    client = registry.model_client("main")
    while isinstance(client, ModelWrapper) and not isinstance(
        client, AnthropicChatCompletionClient
    ):
        client = client.wrapped
    assert isinstance(client, AnthropicChatCompletionClient)
    assert client.base_url == address


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"model": ""}, "model"),
        ({"temprature": 1}, "temprature"),
        ({"region": "x"}, "region"),
        ({"base_url": "anthropic.example"}, "base_url"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"top_k": 0}, "top_k"),
        ({"thinking": "on"}, "thinking"),
        ({"cache_ttl": "2h"}, "cache_ttl"),
        ({"service_tier": "fast"}, "service_tier"),
        ({"metadata": {"a": 1}}, "metadata/a"),
        ({}, "model"),  # for the address in the environment
    ],
)
def test_a_wrong_option_of_a_profile_is_named(
    tmp_path: Path, options: dict[str, Any], place: str
) -> None:
    profile = {"model": "claude-sonnet-5", **options}
    with pytest.raises(DefinitionError) as raised:
        registry_of(tmp_path, profile, ANTHROPIC_API_KEY="k", ANTHROPIC_BASE_URL="gateway.test")
    assert f"/models/main/{place}" in {p["pointer"] for p in raised.value.data["problems"]}


def test_a_model_of_the_file_may_be_named_with_its_provider() -> None:
    profile = implicit_profile("anthropic:claude-sonnet-5")
    assert profile is not None
    assert profile.arguments({"ANTHROPIC_API_KEY": "k"}) == {
        "model": "claude-sonnet-5",
        "api_key": "k",
        "base_url": "https://api.anthropic.com",
    }


def test_a_component_that_chooses_an_address_needs_its_own_key() -> None:
    config: dict[str, Any] = {
        "model": "claude-sonnet-5",
        "base_url": "https://other.test",
        "stop_sequences": ["END"],
        "response_format": {"type": "text"},
    }
    data = {
        "provider": "autogen_ext.models.anthropic.AnthropicChatCompletionClient",
        "component_type": "model",
        "version": 1,
        "config": config,
    }
    with pytest.raises(DefinitionError, match="key is not sent there"):
        ChatCompletionClient.load_component(data)
    config["api_key"] = "key-2"
    loaded = ChatCompletionClient.load_component(data)
    assert isinstance(loaded, AnthropicChatCompletionClient)
    assert (loaded.dump_component().config or {})["stop_sequences"] == ["END"]
    config["response_format"] = {"type": "json_object"}
    with pytest.raises(DefinitionError, match="output_content_type") as raised:
        ChatCompletionClient.load_component(data)
    assert raised.value.pointer == "/config/response_format"
