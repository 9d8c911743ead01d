"""A model with scripted answers, with the interface of AutoGen's `ReplayChatCompletionClient`."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, ClassVar, cast

from pydantic import BaseModel

from teamrun.core.cancellation import CancellationToken
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.llm import CreateResult, LLMMessage, RequestUsage
from teamrun.models.base import ModelInfo, ToolChoice
from teamrun.models.families import validated
from teamrun.models.script import ScriptedError
from teamrun.testing.scripted import ScriptedModel, Step
from teamrun.tools.schema import ToolSchema

__all__ = ["ReplayChatCompletionClient"]

_AVAILABLE = 10_000
"""Tokens that `remaining_tokens` starts from."""
_INFO = ModelInfo(
    vision=False,
    function_calling=False,
    json_output=False,
    family="unknown",
    structured_output=False,
)


class ReplayChatCompletionClient(ScriptedModel):
    """Answers with texts and results, in order; a token is a word.

    `ScriptedModel` has answers for each agent, requests for tools as data, and errors.

    Args:
        chat_completions: The answers.
        model_info: The capabilities to report; by default none.

    Raises:
        UsageError: An answer is invalid, or a field of `model_info` is missing.
    """

    component_provider_override: ClassVar[str | None] = (
        "autogen_ext.models.replay.ReplayChatCompletionClient"
    )

    def __init__(
        self, chat_completions: Sequence[Step], model_info: ModelInfo | None = None
    ) -> None:
        info = _INFO if model_info is None else validated(model_info)
        super().__init__(list(chat_completions), model_info=info)
        self.chat_completions = list(chat_completions)
        self.provided_message_count = len(self.chat_completions)
        self._create_calls: list[JsonObject] = []
        self._is_cached = True
        self._latest = RequestUsage(0, 0)
        self._total = RequestUsage(0, 0)
        self._is_text = False

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """The next answer.

        Raises:
            ValueError: There are no more.
        """
        result = await super().create(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )
        self._create_calls.append(
            {
                "messages": messages,
                "tools": tools,
                "json_output": json_output,
                "extra_create_args": extra_create_args or {},
                "cancellation_token": cancellation_token,
            }
        )
        prompt = self.count_tokens(messages)
        self._latest = RequestUsage(prompt, result.usage.completion_tokens)
        self._total += self._latest
        if not self._is_text:
            return result
        return result.model_copy(update={"usage": self._latest, "cached": self._is_cached})

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The next answer, a text in words; a result is not divided.

        Raises:
            ValueError: There are no more.
        """
        async with aclosing(super().create_stream(messages, **options)) as pieces:
            async for piece in pieces:
                if self._is_text or isinstance(piece, CreateResult):
                    yield piece

    @property
    def create_calls(self) -> list[JsonObject]:
        """The arguments of the calls."""
        return self._create_calls

    def for_agent(self, name: str) -> "ReplayChatCompletionClient":
        """The same object: all agents take the next answer."""
        return self

    def actual_usage(self) -> RequestUsage:
        """Tokens of the last call."""
        return self._latest

    def total_usage(self) -> RequestUsage:
        """Tokens of all calls."""
        return self._total

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolSchema] = ()
    ) -> int:
        """The words of the messages that are texts."""
        return sum(len(m.content.split()) for m in messages if isinstance(m.content, str))

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolSchema] = ()
    ) -> int:
        """What is left of 10,000 tokens."""
        used = self._total.prompt_tokens + self._total.completion_tokens
        return max(0, _AVAILABLE - used)

    def set_cached_bool_value(self, value: bool) -> None:
        """Set `cached` of the following answers."""
        self._is_cached = value

    def reset(self) -> None:
        """Start again from the first answer."""
        self.rewind()
        self._latest = self._total = RequestUsage(0, 0)

    def _step(self, agent: str | None, position: int) -> CreateResult | ScriptedError:
        step = super()._step(agent, position)
        self._is_text = isinstance(self.chat_completions[position], str)
        return step

    def _missing(self, agent: str | None, position: int, length: int) -> Any:
        return cast("Any", ValueError("No more mock responses available"))
