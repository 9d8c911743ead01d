"""AutoGen's cache of model calls, for scripts.

A run of a service needs none: it repeats no call that has completed.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from hashlib import sha256
from typing import Generic, TypeVar, Unpack, cast

from pydantic import BaseModel
from pydantic_core import to_json

from teamrun.messages.llm import CreateResult, LLMMessage, RequestUsage
from teamrun.models.base import CallOptions, ChatCompletionClient
from teamrun.models.wrapper import ModelWrapper

__all__ = ["CHAT_CACHE_VALUE_TYPE", "CacheStore", "ChatCompletionCache", "InMemoryStore"]

T = TypeVar("T")
CHAT_CACHE_VALUE_TYPE = CreateResult | list[str | CreateResult]
"""What is kept for one call: its result, or the items of its stream."""


class CacheStore(ABC, Generic[T]):
    """Keeps values by their keys."""

    @abstractmethod
    def get(self, key: str, default: T | None = None) -> T | None:
        """The value of a key, or the default."""

    @abstractmethod
    def set(self, key: str, value: T) -> None:
        """Keep a value."""


class InMemoryStore(CacheStore[T]):
    """Keeps values in this process, without a limit."""

    def __init__(self) -> None:
        self.store: dict[str, T] = {}

    def get(self, key: str, default: T | None = None) -> T | None:
        """The value of a key, or the default."""
        return self.store.get(key, default)

    def set(self, key: str, value: T) -> None:
        """Keep a value."""
        self.store[key] = value


class ChatCompletionCache(ModelWrapper):
    """A model client that answers a repeated call with the first answer, with `cached` set.

    The key has all that a call depends on: messages, tools, the choice of tools, the form of the
    answer and other arguments. AutoGen's lacks the choice, and the class and capabilities of the
    client, which matter if clients share a store.

    Args:
        client: The model client.
        store: Keeps the answers; by default they are kept in memory.
    """

    def __init__(
        self,
        client: ChatCompletionClient,
        store: CacheStore[CHAT_CACHE_VALUE_TYPE] | None = None,
    ) -> None:
        super().__init__(client)
        self.client = client
        self._store: CacheStore[CHAT_CACHE_VALUE_TYPE] = store or InMemoryStore()
        self._saved = RequestUsage(prompt_tokens=0, completion_tokens=0)

    async def create(
        self, messages: Sequence[LLMMessage], **options: Unpack[CallOptions]
    ) -> CreateResult:
        """Ask the store, then the client."""
        key = self._key("create", messages, options)
        kept = self._store.get(key)
        if isinstance(kept, CreateResult):
            return self._again(kept)
        result = await self.wrapped.create(messages, **options)
        self._store.set(key, result)
        return result

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Unpack[CallOptions]
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Yield what the store has, or the client's stream, which is kept if it ends."""
        key = self._key("create_stream", messages, options)
        kept = self._store.get(key)
        if isinstance(kept, list):
            for item in kept:
                yield self._again(item) if isinstance(item, CreateResult) else item
            return
        items: list[str | CreateResult] = []
        async for item in self.wrapped.create_stream(messages, **options):
            items.append(item)
            yield item
        self._store.set(key, items)

    def total_usage(self) -> RequestUsage:
        """Tokens of all calls, those that the store answered included."""
        called = self.wrapped.total_usage()
        return RequestUsage(
            prompt_tokens=called.prompt_tokens + self._saved.prompt_tokens,
            completion_tokens=called.completion_tokens + self._saved.completion_tokens,
        )

    def _again(self, result: CreateResult) -> CreateResult:
        self._saved.prompt_tokens += result.usage.prompt_tokens
        self._saved.completion_tokens += result.usage.completion_tokens
        return result.model_copy(update={"cached": True})

    def _key(self, kind: str, messages: Sequence[LLMMessage], options: CallOptions) -> str:
        given = {k: v for k, v in options.items() if k != "cancellation_token"}
        client = (type(self.wrapped).__qualname__, self.wrapped.model_info)
        said = [message.model_dump(mode="json") for message in messages]
        data = to_json([kind, client, said, given], fallback=_plain)
        return sha256(data).hexdigest()


def _plain(value: object) -> object:
    """A class of answers by its schema, a tool by its own."""
    if isinstance(value, type) and issubclass(value, BaseModel):
        return value.model_json_schema()
    schema: object = getattr(cast("object", value), "schema", None)
    return str(cast("object", value)) if schema is None else schema
