"""Cases of the wire suite: responses of servers, their parsed form, and requests to servers.

A case is data. `test_wires.py` runs each against every client of `CLIENTS`; a client of another
provider that speaks the same protocol is one more row there.
"""

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.support.bedrock import CLAUDE
from tests.support.model_replies import Plan, Reply
from tests.support.model_server import ModelServer

from teamrun.messages.llm import LLMMessage, UserMessage
from teamrun.models import (
    AnthropicChatCompletionClient,
    AzureOpenAIChatCompletionClient,
    BedrockChatCompletionClient,
    ChatCompletionClient,
    OllamaChatCompletionClient,
    OpenAIChatCompletionClient,
)
from teamrun.models.retry import RetryPolicy
from teamrun.tools.schema import ToolSchema

__all__ = [
    "ADD",
    "ASK",
    "CLIENTS",
    "CONVERSE",
    "MESSAGES",
    "OLLAMA",
    "AnswerCase",
    "Failure",
    "RequestCase",
    "Said",
    "chunk",
    "completion",
    "connected",
    "served",
    "sse",
]

Json = dict[str, Any]

ASK = [UserMessage(content="How many?", source="user")]
ADD = ToolSchema(
    name="add",
    description="Adds.",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}}},
)
_QUICK = RetryPolicy(max_retries=1, first_delay=timedelta(0), jitter=0)


def _openai(server: ModelServer, **options: Any) -> ChatCompletionClient:
    return OpenAIChatCompletionClient(
        base_url=options.pop("base_url", None) or server.base_url, **options
    )


def _azure(server: ModelServer, **options: Any) -> ChatCompletionClient:
    address = options.pop("azure_endpoint", None) or server.address
    return AzureOpenAIChatCompletionClient(
        azure_endpoint=address, api_version="2024-10-21", **options
    )


def _azure_v1(server: ModelServer, **options: Any) -> ChatCompletionClient:
    """The path `/openai/v1`, with a token in place of a key."""
    address = options.pop("azure_endpoint", None) or f"{server.address}/openai/v1"
    token = options.pop("api_key")

    async def provider() -> str:
        return token

    return AzureOpenAIChatCompletionClient(
        azure_endpoint=address, azure_ad_token_provider=provider, **options
    )


def _bedrock(server: ModelServer, **options: Any) -> ChatCompletionClient:
    del options["api_key"]  # credentials are those of the environment
    model = options.pop("model")
    return BedrockChatCompletionClient(
        CLAUDE if model == "gpt-4o" else model, base_url=server.address, **options
    )


def _anthropic(server: ModelServer, **options: Any) -> ChatCompletionClient:
    model = options.pop("model")
    return AnthropicChatCompletionClient(
        "claude-sonnet-5" if model == "gpt-4o" else model, base_url=server.address, **options
    )


def _ollama(server: ModelServer, **options: Any) -> ChatCompletionClient:
    return OllamaChatCompletionClient(host=server.address, **options)


CLIENTS: Mapping[str, Callable[..., ChatCompletionClient]] = {
    "openai": _openai,
    "azure": _azure,
    "azure_v1": _azure_v1,
}
"""Every client that speaks OpenAI's chat completions, connected to a server of ours."""

CONVERSE: Mapping[str, Callable[..., ChatCompletionClient]] = {"bedrock": _bedrock}
"""The same for Bedrock's Converse."""

MESSAGES: Mapping[str, Callable[..., ChatCompletionClient]] = {"anthropic": _anthropic}
"""The same for Anthropic's Messages API."""

OLLAMA: Mapping[str, Callable[..., ChatCompletionClient]] = {"ollama": _ollama}
"""The same for Ollama's own API."""


@asynccontextmanager
async def connected(
    client: str, server: ModelServer, **options: Any
) -> AsyncGenerator[ChatCompletionClient]:
    """A client of that kind; it tries a failed call once more, at once."""
    defaults: Json = {"model": "gpt-4o", "api_key": "key-1", "retry": _QUICK}
    made = {**CLIENTS, **CONVERSE, **MESSAGES, **OLLAMA}[client](server, **{**defaults, **options})
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def served(*replies: Reply) -> AsyncGenerator[ModelServer]:
    """A server that gives these answers in turn, the last one again and again."""
    plan = Plan(queue=list(replies[:-1]), default=replies[-1])
    async with ModelServer(plan) as server:
        yield server


@dataclass(frozen=True, kw_only=True)
class Said:
    """The right reading of an answer. Fields that are `None` are not compared."""

    content: str = ""
    calls: Sequence[tuple[str, object]] = ()
    """Name and arguments (as data) of each tool call; their ids are always checked to be unique."""
    call_ids: Sequence[str] | None = None
    thought: str | None = None
    finish_reason: str | None = None
    filtered: Sequence[str] | None = None
    """Categories of a content filter."""
    usage: tuple[int, int] | None = None
    """Tokens of the prompt and of the answer."""
    pieces: Sequence[str] | None = None
    """The text that a stream yields before its result."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The right reading of a failure."""

    retryable: bool
    status_code: int | None = None
    words: str = ""
    """The server's own words; they are part of the message."""
    data: Mapping[str, object] = field(default_factory=dict[str, object])
    """Compared with the error's data, name by name."""
    after_text: bool = False
    """The stream has already yielded text, so the call is not repeated."""


@dataclass(frozen=True, kw_only=True)
class AnswerCase:
    """One answer on the wire. Without `whole` or `stream` the case is not run in that way."""

    id: str
    right: Said | Failure
    whole: str | bytes | None = None
    """The body of the answer if no stream was requested."""
    stream: str | bytes | None = None
    """The body of the answer if a stream was requested."""
    status: int = 200
    whole_type: str = "application/json"
    stream_type: str = "text/event-stream"
    options: Json = field(default_factory=dict[str, Any])
    """Arguments of the client."""


@dataclass(frozen=True, kw_only=True)
class RequestCase:
    """One request on the wire: the client's arguments, and the body that the server receives."""

    id: str
    sent: Mapping[str, object]
    """Members of the request's body with their right values; `...` for one that must be absent."""
    messages: Sequence[LLMMessage] = tuple(ASK)
    call: Json = field(default_factory=dict[str, Any])
    """Arguments of `create`."""
    options: Json = field(default_factory=dict[str, Any])
    """Arguments of the client."""


def completion(message: Json, *others: Json, finish: str = "stop", **rest: Any) -> str:
    """The body of a whole answer with that message; `others` are further choices."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    frame = {"id": "1", "object": "chat.completion", "created": 1, "model": "m-1"}
    return json.dumps({**frame, "choices": [choice, *others], **rest})


def chunk(
    delta: Json | None = None, *, finish: str | None = None, index: int = 0, **rest: Any
) -> Json:
    """One chunk of a stream; without `delta` and `finish` it has no choice."""
    choices = []
    if delta is not None or finish is not None:
        choices = [{"index": index, "delta": delta or {}, "finish_reason": finish}]
    frame = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}
    return {**frame, "choices": choices, **rest}


def sse(*events: Json | str, done: bool = True) -> str:
    """The body of a stream: chunks, or literal text of events, then `[DONE]`."""
    blocks = [
        event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n" for event in events
    ]
    return "".join([*blocks, "data: [DONE]\n\n" if done else ""])
