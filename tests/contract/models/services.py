"""The services whose models are called over HTTP, each with a client and a server of ours.

A new service is one row of `SERVICES`, on which `test_every_service.py` and `test_every_client.py`
run.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.support.bedrock import CLAUDE
from tests.support.messages_rules import prepare
from tests.support.model_replies import Plan, Reply
from tests.support.model_server import ModelServer

from teamrun.messages.llm import FinishReason
from teamrun.models import (
    AnthropicChatCompletionClient,
    AzureOpenAIChatCompletionClient,
    BedrockChatCompletionClient,
    ChatCompletionClient,
    OllamaChatCompletionClient,
    OpenAIChatCompletionClient,
    RetryPolicy,
)
from teamrun.testing import FakeClock

__all__ = ["KEY", "SERVICES", "Scene", "Service", "scene"]

KEY = "key-of-the-contract-12345"

_OPENAI: Mapping[FinishReason, tuple[str, ...]] = {
    "stop": ("stop",),
    "length": ("length",),
    "content_filter": ("content_filter",),
}
_TOO_LONG = Reply(status=400, error_code="context_length_exceeded", content="maximum context")


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service, as its users reach it."""

    connect: Callable[..., ChatCompletionClient]
    """A client of the server at that address; keyword arguments are those of the client."""
    path: str
    """How the path of a request begins."""
    stops: Mapping[FinishReason, tuple[str, ...]]
    """The service's own names of the reasons why a model stops."""
    provider: str = "server-"
    """How the provider's name in errors begins."""
    too_long: Reply
    """The refusal of a conversation that does not fit into the context window."""
    forced: str = '"tool_choice": {"type": "function", "function": {"name": "add"}}'
    """The part of a request's JSON by which the model is forced to call the tool `add`."""
    names_media_types: bool = True
    """Whether an image is sent with its media type."""


async def _token() -> str:
    return KEY


def _openai(address: str, **options: Any) -> ChatCompletionClient:
    return OpenAIChatCompletionClient("gpt-4o", base_url=f"{address}/v1", api_key=KEY, **options)


def _azure(address: str, **options: Any) -> ChatCompletionClient:
    return AzureOpenAIChatCompletionClient(
        "gpt-4o",
        azure_endpoint=address,
        azure_deployment="mine",
        api_version="2024-10-21",
        api_key=KEY,
        **options,
    )


def _azure_v1_entra(address: str, **options: Any) -> ChatCompletionClient:
    return AzureOpenAIChatCompletionClient(
        "gpt-4o",
        azure_endpoint=f"{address}/openai/v1/",
        azure_ad_token_provider=_token,
        **options,
    )


def _bedrock(address: str, **options: Any) -> ChatCompletionClient:
    return BedrockChatCompletionClient(CLAUDE, base_url=address, **options)


def _anthropic(address: str, **options: Any) -> ChatCompletionClient:
    prepare()
    return AnthropicChatCompletionClient(
        "claude-sonnet-5", base_url=address, api_key=KEY, **options
    )


def _mistral(address: str, **options: Any) -> ChatCompletionClient:
    address = f"{address}/mistral/v1"
    return OpenAIChatCompletionClient(
        "mistral-large-latest", preset="mistral", base_url=address, api_key=KEY, **options
    )


def _ollama(address: str, **options: Any) -> ChatCompletionClient:
    return OllamaChatCompletionClient("llama3.2", host=address, api_key=KEY, **options)


SERVICES: Mapping[str, Service] = {
    "openai": Service(
        connect=_openai, path="/v1/chat/completions", stops=_OPENAI, too_long=_TOO_LONG
    ),
    "azure": Service(
        connect=_azure,
        path="/openai/deployments/mine/chat/completions?api-version=2024-10-21",
        stops=_OPENAI,
        too_long=_TOO_LONG,
    ),
    "azure_v1_entra": Service(
        connect=_azure_v1_entra,
        path="/openai/v1/chat/completions",
        stops=_OPENAI,
        too_long=_TOO_LONG,
    ),
    "bedrock": Service(
        connect=_bedrock,
        provider="bedrock-claude",
        path="/model/",
        stops={
            "stop": ("end_turn", "stop_sequence"),
            "length": ("max_tokens", "model_context_window_exceeded"),
            "content_filter": ("guardrail_intervened", "content_filtered"),
        },
        too_long=Reply(status=400, content="Input is too long for requested model."),
        forced='"toolChoice": {"tool": {"name": "add"}}',
    ),
    "mistral": Service(
        connect=_mistral,
        path="/mistral/v1/chat/completions",
        stops={"stop": ("stop",), "length": ("length", "model_length"), "content_filter": ()},
        too_long=Reply(status=400, error_code="3051", content="9 maximum context length"),
    ),
    "ollama": Service(
        connect=_ollama,
        path="/api/chat",
        stops={"stop": ("stop",), "length": ("length",), "content_filter": ()},
        too_long=Reply(status=400, content="the input length exceeds the context length"),
        forced="Call the tool add now.",  # the API has no choice of tools
        names_media_types=False,
    ),
    "anthropic": Service(
        connect=_anthropic,
        path="/v1/messages",
        stops={
            "stop": ("end_turn", "stop_sequence"),
            "length": ("max_tokens", "model_context_window_exceeded"),
            "content_filter": ("refusal",),
        },
        too_long=Reply(status=400, content="prompt is too long: 210000 tokens > 200000 maximum"),
        forced='"tool_choice": {"type": "tool", "name": "add"',
    ),
}


class Scene(NamedTuple):
    """A client and the server that it calls."""

    server: ModelServer
    model: ChatCompletionClient
    clock: FakeClock
    """Of the client: waits between its attempts take no time."""


@asynccontextmanager
async def scene(service: str, *queue: Reply, **options: Any) -> AsyncGenerator[Scene]:
    """A client of a service that gives these answers in turn."""
    clock = FakeClock()
    async with ModelServer(Plan(queue=list(queue))) as server:
        given: dict[str, Any] = {"retry": RetryPolicy(jitter=0), "clock": clock, **options}
        model = SERVICES[service].connect(server.address, **given)
        try:
            yield Scene(server, model, clock)
        finally:
            await model.close()
