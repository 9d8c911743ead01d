"""A model client that answers a repeated request with the first answer.

The key has everything that an answer depends on, and the tenant of the run: an answer is never
given to another tenant. In a run, an answer of the cache is recorded like any other, so a replay
does not depend on what the cache still has.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from teamrun.core.call import current_call
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import DeliveryError
from teamrun.json_types import JsonMapping
from teamrun.messages.llm import CreateResult, LLMMessage, RequestUsage
from teamrun.models.answers import Answers
from teamrun.models.base import ChatCompletionClient, ToolChoice
from teamrun.models.tool_names import HasSchema, schema_of
from teamrun.models.wrapper import ModelWrapper
from teamrun.tools.schema import ToolSchema

__all__ = ["CachedModel"]

_FORM: Final = 1
"""Increases when the form of keys or answers changes."""
_LARGEST: Final = 262_144
"""Bytes; a larger answer is not kept."""
_COMPLETE: Final = ("stop", "length", "function_calls")
"""Why a model stopped, if its answer may be given again."""


class CachedModel(ModelWrapper):
    """Keeps the answers of a client. Failures, and answers that a filter has cut, are not kept.

    An answer of the cache has `cached` set and has used no tokens; `total_usage` counts those of
    the first answer again. If the answers cannot be reached, the client is asked.

    Args:
        wrapped: The client of one profile, with its retries.
        identity: What its answers depend on besides the request: type, model, address, options.
        life: How long an answer is kept.
        answers: Where the answers are kept; called for each request.
    """

    def __init__(
        self,
        wrapped: ChatCompletionClient,
        *,
        identity: JsonMapping,
        life: timedelta,
        answers: Callable[[], Answers],
    ) -> None:
        super().__init__(wrapped)
        self._identity = identity
        self._life = life
        self._answers = answers
        self._saved = RequestUsage(0, 0)

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema | HasSchema] = (),
        tool_choice: ToolChoice | HasSchema = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """The kept answer to this request, or the client's.

        Raises:
            ModelError: The call failed.
        """
        schemas = [schema_of(tool) for tool in tools]
        choice = tool_choice if isinstance(tool_choice, str) else schema_of(tool_choice)
        key = self._key(messages, schemas, choice, json_output, extra_create_args)
        if (kept := await self._kept(key)) is not None:
            return kept
        result = await self.wrapped.create(
            messages,
            tools=schemas,
            tool_choice=choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )
        await self._keep(key, result)
        return result

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema | HasSchema] = (),
        tool_choice: ToolChoice | HasSchema = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same; a kept answer is one piece of text, after its thoughts.

        Raises:
            ModelError: As for `create`.
        """
        schemas = [schema_of(tool) for tool in tools]
        choice = tool_choice if isinstance(tool_choice, str) else schema_of(tool_choice)
        key = self._key(messages, schemas, choice, json_output, extra_create_args)
        if (kept := await self._kept(key)) is not None:
            if kept.thought:
                yield f"<think>{kept.thought}</think>"
            if isinstance(kept.content, str) and kept.content:
                yield kept.content
            yield kept
            return
        async for piece in self.wrapped.create_stream(
            messages,
            tools=schemas,
            tool_choice=choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        ):
            if isinstance(piece, CreateResult):
                await self._keep(key, piece)
            yield piece

    def total_usage(self) -> RequestUsage:
        """Tokens of all calls, those that the cache answered included."""
        return self.wrapped.total_usage() + self._saved

    def _key(
        self,
        messages: Sequence[LLMMessage],
        tools: Sequence[ToolSchema],
        tool_choice: ToolChoice,
        json_output: bool | type[BaseModel] | None,
        arguments: JsonMapping | None,
    ) -> str:
        call = current_call.get()
        form = json_output.model_json_schema() if isinstance(json_output, type) else json_output
        request = [messages, tools, tool_choice, form, arguments or {}]
        tenant = "" if call is None else call.tenant
        data = to_json([_FORM, tenant, self._identity, request], fallback=repr)
        return sha256(data).hexdigest()

    async def _kept(self, key: str) -> CreateResult | None:
        with suppress(DeliveryError, ValidationError):
            data = await self._answers().answer(key)
            if data is None:
                return None
            result = CreateResult.model_validate_json(data)
            self._saved += result.usage
            return result.model_copy(update={"cached": True, "usage": RequestUsage(0, 0)})
        return None

    async def _keep(self, key: str, result: CreateResult) -> None:
        if result.cached or result.filtered or result.finish_reason not in _COMPLETE:
            return
        data = result.model_dump_json().encode()
        if len(data) <= _LARGEST:
            with suppress(DeliveryError):
                await self._answers().keep_answer(key, data, self._life)
