"""The address of a model's calls, and the key sent to it."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from teamrun.components.reading.problems import Problems
from teamrun.components.reading.profiles import implicit_profile, read_profiles
from teamrun.errors import DefinitionError, ModelError, UsageError
from teamrun.messages.llm import UserMessage
from teamrun.models import (
    ChatCompletionClient,
    OpenAIChatCompletionClient,
    make_client,
    model_client_from_env,
)
from teamrun.models.makers import KEY_VARIABLES, access_to, maker_at, provider_of

GOOGLE, ANTHROPIC, META = "generativelanguage.googleapis.com", "api.anthropic.com", "api.llama.com"
OPENAI = "api.openai.com"
KEYS = {variable: f"key-of-{variable}" for variable in KEY_VARIABLES}
"""The key of every company, so that a wrong one would be found."""

Sent = tuple[str, str | None]


@dataclass
class Wire:
    """Replaces the network: keeps the address and headers of each request."""

    requests: list[httpx2.Request] = field(default_factory=list[httpx2.Request])

    def client(self) -> httpx2.AsyncClient:
        def answer(request: httpx2.Request) -> httpx2.Response:
            self.requests.append(request)
            return httpx2.Response(400, json={"error": {"message": "no"}})

        return httpx2.AsyncClient(transport=httpx2.MockTransport(answer))

    @property
    def sent(self) -> Sent:
        (request,) = self.requests
        return request.url.host, request.headers["authorization"].removeprefix("Bearer ")


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


async def ask(client: ChatCompletionClient) -> None:
    with pytest.raises(ModelError):
        await client.create([UserMessage(content="Hi", source="user")])


async def request_of(**options: Any) -> httpx2.Request:
    wire = Wire()
    await ask(OpenAIChatCompletionClient(**options, http_client=wire.client(), max_retries=0))
    (request,) = wire.requests
    return request


async def sent(**options: Any) -> Sent:
    request = await request_of(**options)
    return request.url.host, request.headers["authorization"].removeprefix("Bearer ")


MODELS = [
    ("gpt-4o", OPENAI, "OPENAI_API_KEY"),
    ("ft:gpt-4o-mini-2024-07-18:acme::id", OPENAI, "OPENAI_API_KEY"),
    ("o3-mini", OPENAI, "OPENAI_API_KEY"),
    ("gemini-2.0-flash", GOOGLE, "GEMINI_API_KEY"),
    ("models/gemini-2.5-pro", GOOGLE, "GEMINI_API_KEY"),
    ("claude-3-5-sonnet-20241022", ANTHROPIC, "ANTHROPIC_API_KEY"),
    ("claude-opus-9", ANTHROPIC, "ANTHROPIC_API_KEY"),
    ("Llama-4-Maverick-17B-128E-Instruct-FP8", META, "LLAMA_API_KEY"),
    ("deepseek-chat", "api.deepseek.com", "DEEPSEEK_API_KEY"),
    ("grok-4", "api.x.ai", "XAI_API_KEY"),
]


@pytest.mark.parametrize(("model", "host", "variable"), MODELS)
async def test_a_model_is_called_at_its_company_with_that_companys_key(
    model: str, host: str, variable: str
) -> None:
    assert await sent(model=model) == (host, KEYS[variable])
    assert await sent(model=model, api_key="mine") == (host, "mine")


@pytest.mark.parametrize(("model", "host", "variable"), MODELS)
def test_a_key_of_another_company_is_never_taken_in_its_place(
    model: str, host: str, variable: str, environ: pytest.MonkeyPatch
) -> None:
    environ.delenv(variable)
    if variable == "GEMINI_API_KEY":
        environ.delenv("GOOGLE_API_KEY")
    with pytest.raises(UsageError) as caught:
        OpenAIChatCompletionClient(model)
    assert caught.value.data["argument"] == "api_key"
    assert variable in caught.value.message


@pytest.mark.parametrize("model", [model for model, _, _ in MODELS])
@pytest.mark.parametrize(
    ("base_url", "variable"),
    [
        ("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
        ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        ("https://api.groq.com./openai/v1", "GROQ_API_KEY"),
        (f"https://{GOOGLE}/v1beta/openai", "GEMINI_API_KEY"),
    ],
)
async def test_base_url_wins_and_decides_the_key(model: str, base_url: str, variable: str) -> None:
    host, key = await sent(model=model, base_url=base_url)

    assert (host, key) == (urlsplit(base_url).hostname, KEYS[variable])


async def test_a_regional_host_of_a_company_gets_its_key() -> None:
    regional = "https://eu.api.openai.com/v1"

    assert await sent(model="gpt-4o", base_url=regional) == (
        "eu.api.openai.com",
        KEYS["OPENAI_API_KEY"],
    )


async def test_another_companys_model_ignores_the_server_of_openai_base_url(
    environ: pytest.MonkeyPatch,
) -> None:
    environ.setenv("OPENAI_BASE_URL", "https://gateway.example/v1")

    assert await sent(model="gemini-2.0-flash") == (GOOGLE, KEYS["GEMINI_API_KEY"])
    assert await sent(model="gpt-4o") == ("gateway.example", KEYS["OPENAI_API_KEY"])
    assert await sent(model="llama3.2") == ("gateway.example", KEYS["OPENAI_API_KEY"])


@pytest.mark.parametrize("model", ["llama3.2", "mistral-nemo", "gpt-oss:20b", "deepseek-r1:7b"])
async def test_a_model_of_an_open_family_needs_a_server(model: str) -> None:
    with pytest.raises(UsageError) as raised:
        OpenAIChatCompletionClient(model, api_key="k")
    assert (raised.value.code, raised.value.data) == ("no_address", {"argument": "base_url"})
    assert (await sent(model=model, base_url="http://127.0.0.1:9/v1", api_key="k"))[
        0
    ] == "127.0.0.1"


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "claude-3-5-sonnet"])
async def test_the_names_of_an_openai_organization_stay_with_openai(
    model: str, environ: pytest.MonkeyPatch
) -> None:
    environ.setenv("OPENAI_ORG_ID", "org-1")
    environ.setenv("OPENAI_PROJECT_ID", "proj-1")

    assert not {"openai-organization", "openai-project"} & set(
        (await request_of(model=model)).headers
    )
    assert (await request_of(model="gpt-4o")).headers["openai-organization"] == "org-1"
    own = (await request_of(model=model, organization="mine")).headers
    assert own["openai-organization"] == "mine"


def test_no_pair_of_model_and_environment_mixes_two_companies() -> None:
    urls: list[str | None] = [None, "https://gateway.example/v1", "https://openrouter.ai/api/v1"]
    for (model, _, _), base_url, configured in itertools.product(MODELS, urls, urls):
        environ = {**KEYS, **({"OPENAI_BASE_URL": configured} if configured else {})}
        access = access_to(model, base_url, environ)
        maker = maker_at(access.base_url)
        if maker is not None:
            assert access.key == KEYS[maker.variable]
        else:
            assert access.key in (None, KEYS["OPENAI_API_KEY"])
            assert access.key is None or access.base_url == configured


@pytest.mark.parametrize(
    "host", ["api.openai.com.evil.example", "evilapi.openai.com", "openai.com"]
)
def test_a_host_that_only_looks_like_a_company_gets_no_key_of_it(host: str) -> None:
    assert maker_at(f"https://{host}/v1") is None
    assert access_to("gpt-4o", f"https://{host}/v1", KEYS).key is None


def test_the_name_of_a_private_server_does_not_disclose_its_address() -> None:
    assert provider_of("https://api.openai.com/v1") == "openai"
    assert provider_of("http://10.0.0.7:8000/v1") == provider_of("http://10.0.0.7:8000/v1/")
    assert "10.0.0.7" not in provider_of("http://10.0.0.7:8000/v1")


@pytest.mark.behaviour("model.from_env.companies")
@pytest.mark.parametrize(("model", "host", "variable"), MODELS)
def test_the_environment_alone_gives_a_client_of_the_right_company(
    model: str, host: str, variable: str
) -> None:
    client = model_client_from_env({"OPENAI_MODEL": model, variable: "mine"})
    assert isinstance(client, OpenAIChatCompletionClient)
    assert urlsplit(client.base_url).hostname == host
    with pytest.raises(UsageError) as caught:
        model_client_from_env({"OPENAI_MODEL": model, "LLM_PROVIDER": "openai", "HOME": "/"})
    assert caught.value.data["variable"] == variable


def profile(given: dict[str, Any], environ: Mapping[str, str]) -> Sent | str | None:
    """The address and key of a profile's model, or the variable that it lacks."""
    problems = Problems()
    raw = {"main": {"type": "openai", **given}}
    read = read_profiles(raw, "/models", problems, folder=Path(), environ=environ)
    problems.raise_any()
    main = read["main"]
    assert main is not None
    missing = main.missing(environ)
    if missing is not None:
        return missing
    made = main.arguments(environ)
    assert make_client("openai", **made)
    return urlsplit(str(made["base_url"])).hostname or "", str(made["api_key"])


@pytest.mark.parametrize(("model", "host", "variable"), MODELS)
def test_a_profile_decides_as_the_client_does(model: str, host: str, variable: str) -> None:
    assert profile({"model": model}, {}) == variable
    assert profile({"model": model}, {variable: ""}) == variable
    assert profile({"model": model}, KEYS) == (host, KEYS[variable])


def test_a_profile_sends_no_key_of_the_environment_to_a_server_that_it_names() -> None:
    given = {"model": "m", "base_url": "https://server.example/v1"}

    assert profile(given, KEYS) == ("server.example", "none")
    configured = {**KEYS, "OPENAI_BASE_URL": "https://server.example/v1"}
    assert profile(given, configured) == ("server.example", KEYS["OPENAI_API_KEY"])


def test_a_profile_of_an_open_family_needs_a_server() -> None:
    assert profile({"model": "llama3.2", "api_key": "k"}, KEYS) == "OPENAI_BASE_URL"


def test_a_profile_that_pairs_a_model_with_the_key_of_another_company_is_refused() -> None:
    given = {"model": "gemini-2.0-flash", "api_key": "${OPENAI_API_KEY}"}

    with pytest.raises(DefinitionError) as refused:
        profile(given, KEYS)
    assert refused.value.pointer == "/models/main/api_key"
    gateway = {**given, "base_url": "https://gateway.example/v1"}
    assert profile(gateway, KEYS) == ("gateway.example", KEYS["OPENAI_API_KEY"])


@pytest.mark.parametrize(("model", "host", "variable"), MODELS)
def test_a_model_that_is_named_with_its_provider_needs_the_same_variable(
    model: str, host: str, variable: str
) -> None:
    made = implicit_profile(f"openai:{model}")

    assert made is not None and made.missing({}) == variable
    arguments = made.arguments(KEYS)
    assert (urlsplit(str(arguments["base_url"])).hostname, arguments["api_key"]) == (
        host,
        KEYS[variable],
    )
