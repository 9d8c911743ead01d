"""Names of providers to clients."""

import subprocess
import sys
from typing import Any

import pytest

from teamrun.errors import DefinitionError, UsageError
from teamrun.models import (
    AnthropicChatCompletionClient,
    AzureOpenAIChatCompletionClient,
    BedrockChatCompletionClient,
    OllamaChatCompletionClient,
    OpenAIChatCompletionClient,
    make_client,
    model_client_from_env,
)
from teamrun.models.providers import option_names, provider_names, split_model_id
from teamrun.testing import ScriptedModel

LIGHT = """
import sys
import teamrun.models, teamrun.testing
heavy = {"openai", "anthropic", "httpx2", "azure", "boto3", "anyio"} & set(sys.modules)
assert not heavy, heavy
import teamrun.models.http_answer, teamrun.models.http_pool, teamrun.models.redirects
assert "openai" not in sys.modules, "clients of other providers need no SDK of OpenAI"
"""


def test_importing_the_models_loads_no_sdk() -> None:
    subprocess.run(
        [sys.executable, "-c", LIGHT], check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )


def test_each_provider_gives_its_client() -> None:
    openai = make_client("openai", model_id="gpt-4o", api_key="k", temperature=0.2)
    assert isinstance(openai, OpenAIChatCompletionClient)
    azure = make_client(
        "azure_openai", model="gpt-4o", endpoint="https://x.test", api_version="v", api_key="k"
    )
    assert isinstance(azure, AzureOpenAIChatCompletionClient)
    bedrock = make_client("bedrock", model_id="amazon.nova-lite-v1:0", region="us-east-1")
    assert isinstance(bedrock, BedrockChatCompletionClient)
    claude = make_client("anthropic", model_id="claude-sonnet-5", api_key="k")
    assert isinstance(claude, AnthropicChatCompletionClient)
    ollama = make_client("ollama", model_id="qwen3:8b", endpoint="http://h.test", num_predict=9)
    assert isinstance(ollama, OllamaChatCompletionClient)
    mistral = make_client("mistral", model_id="mistral-large-latest", api_key="k", random_seed=1)
    assert isinstance(mistral, OpenAIChatCompletionClient)
    assert mistral.base_url == "https://api.mistral.ai/v1"
    assert isinstance(make_client("scripted", script=["a"]), ScriptedModel)
    assert provider_names() == [
        *("anthropic", "azure_openai", "bedrock", "mistral", "ollama", "openai", "scripted"),
    ]


@pytest.mark.parametrize(
    ("provider", "options", "pointer", "similar"),
    [
        ("opnai", {}, "/provider", "openai"),
        ("bedrock", {}, "/model", None),
        ("bedrock", {"model": "amazon.nova-lite-v1:0", "regoin": "x"}, "/regoin", "region"),
        ("bedrock", {"model": "amazon.nova-lite-v1:0", "seed": 1}, "/seed", None),
        ("bedrock", {"model": "amazon.nova-lite-v1:0", "clock": 1}, "/clock", None),
        ("openai", {"api_key": "k"}, "/model", None),
        ("openai", {"model": "gpt-4o", "temprature": 1}, "/temprature", "temperature"),
        ("openai", {"model": "gpt-4o", "clock": 1}, "/clock", None),
        ("openai", {"model": "gpt-4o", "http_client": 1}, "/http_client", None),
        ("ollama", {}, "/model", None),
        ("ollama", {"model": "m", "num_ctxx": 1}, "/num_ctxx", "num_ctx"),
        ("ollama", {"model": "m", "follow_redirects": True}, "/follow_redirects", None),
        ("ollama", {"model": "m", "http_client": 1}, "/http_client", None),
        ("mistral", {}, "/model", None),
        ("mistral", {"model": "m", "api_key": "k", "preset": "groq"}, "/preset", None),
        ("mistral", {"model": "m", "api_key": "k", "organization": "o"}, "/organization", None),
        ("scripted", {}, "/script", None),
        ("scripted", {"script": ["a"], "temperature": 1}, "/temperature", None),
    ],
)
def test_an_unknown_name_is_an_error_with_its_location_and_a_suggestion(
    provider: str, options: dict[str, Any], pointer: str, similar: str | None
) -> None:
    with pytest.raises(DefinitionError) as raised:
        make_client(provider, **options)
    assert raised.value.pointer == pointer
    assert ("Did you mean" in raised.value.message) is (similar is not None)
    assert similar is None or repr(similar) in raised.value.message


def test_a_profile_does_not_take_its_model_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_MODEL", "gpt-4o")
    with pytest.raises(DefinitionError):
        make_client("openai", api_key="k")
    assert isinstance(OpenAIChatCompletionClient(api_key="k"), OpenAIChatCompletionClient)


def test_options_can_be_listed() -> None:
    assert {"model", "model_id", "base_url", "endpoint", "temperature"} <= set(
        option_names("openai")
    )
    bedrock = {"model", "model_id", "region", "profile", "temperature", "guardrail_id", "endpoint"}
    assert bedrock <= set(option_names("bedrock"))
    assert option_names("scripted") == ["latency", "model_info", "record", "script"]


def test_a_model_id_holds_its_provider() -> None:
    assert split_model_id("azure_openai:gpt-4o") == ("azure_openai", "gpt-4o")
    assert split_model_id("gpt-4o") == ("openai", "gpt-4o")
    assert split_model_id("ollama:qwen3:8b") == ("ollama", "qwen3:8b")
    assert split_model_id("qwen3:8b") == ("openai", "qwen3:8b")


@pytest.mark.parametrize(
    ("environ", "client"),
    [
        ({"OPENAI_API_KEY": "k", "OPENAI_MODEL": "gpt-4o"}, OpenAIChatCompletionClient),
        (
            {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "qwen3"},
            OpenAIChatCompletionClient,
        ),
        (
            {
                "LLM_PROVIDER": "azure",
                "AZURE_OPENAI_API_KEY": "k",
                "AZURE_OPENAI_ENDPOINT": "https://x.test",
                "AZURE_OPENAI_MODEL": "gpt-4o",
                "OPENAI_API_VERSION": "v",
                "MODEL_TEMPERATURE": "0.5",
            },
            AzureOpenAIChatCompletionClient,
        ),
        (
            {"MISTRAL_API_KEY": "k", "MISTRAL_MODEL": "mistral-large-latest"},
            OpenAIChatCompletionClient,
        ),
        ({"OLLAMA_MODEL": "qwen3:8b", "OLLAMA_API_KEY": "k"}, OllamaChatCompletionClient),
        ({"LLM_PROVIDER": "ollama", "OLLAMA_MODEL": "m"}, OllamaChatCompletionClient),
        ({"LLM_PROVIDER": "scripted", "SCRIPTED_REPLIES": '["a"]'}, ScriptedModel),
    ],
)
def test_the_environment_names_a_client(environ: dict[str, str], client: type[object]) -> None:
    assert isinstance(model_client_from_env(environ), client)


@pytest.mark.parametrize(
    ("environ", "at"),
    [
        ({}, "LLM_PROVIDER"),
        ({"OPENAI_API_KEY": "k"}, "OPENAI_MODEL"),
        ({"LLM_PROVIDER": "azure_openai", "AZURE_OPENAI_MODEL": "x"}, "AZURE_OPENAI_ENDPOINT"),
        ({"LLM_PROVIDER": "scripted", "SCRIPTED_REPLIES": "["}, "SCRIPTED_REPLIES"),
        ({"LLM_PROVIDER": "gpt"}, "/provider"),
        (
            {"OPENAI_API_KEY": "k", "OPENAI_MODEL": "gpt-4o", "MODEL_TEMPERATURE": "hot"},
            "MODEL_TEMPERATURE",
        ),
    ],
)
def test_a_variable_that_is_missing_or_wrong_is_named(environ: dict[str, str], at: str) -> None:
    with pytest.raises(UsageError) as raised:
        model_client_from_env(environ)
    assert at in (raised.value.data.get("variable"), raised.value.data.get("pointer"))
