"""Conversations in the form of Ollama's `/api/chat`.

Source: https://docs.ollama.com/api/chat
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from teamrun.json_types import JsonObject
from teamrun.messages.arguments import sendable_arguments
from teamrun.messages.image import Image
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResultMessage,
    LLMMessage,
    ProviderData,
    SystemMessage,
    UserMessage,
)
from teamrun.models.base import ModelInfo
from teamrun.models.tool_names import normalize_name
from teamrun.models.turn_texts import broken_calls, prefix_of
from teamrun.models.wrong_arguments import ModelArgumentError

__all__ = ["MessageWriter", "thinking_data"]

Json = JsonObject

_THINKING = "thinking"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWriter:
    """Writes conversations for one model."""

    model: str
    info: ModelInfo
    provider: str
    """The name under which the thoughts of earlier turns are kept."""
    add_name_prefixes: bool | None = None
    """Begin each text of a user with its source; None: if there are several sources."""

    def write(self, messages: Sequence[LLMMessage]) -> list[Json]:
        """The messages as they are sent.

        Raises:
            ModelArgumentError: One has an image, and the model takes none.
        """
        broken = broken_calls(messages)
        prefixed = self._prefixed(messages)
        return [
            part for message in messages for part in self._wire(message, broken, prefixed=prefixed)
        ]

    def _prefixed(self, messages: Sequence[LLMMessage]) -> bool:
        if self.add_name_prefixes is not None:
            return self.add_name_prefixes
        sources = {message.source for message in messages if isinstance(message, UserMessage)}
        return len(sources) > 1

    def _wire(self, message: LLMMessage, broken: dict[str, str], *, prefixed: bool) -> list[Json]:
        match message:
            case SystemMessage():
                return [{"role": "system", "content": message.content}]
            case UserMessage():
                return [self._user(message, prefix_of(message.source) if prefixed else "")]
            case AssistantMessage():
                return [self._assistant(message)]
            case FunctionExecutionResultMessage():
                return _results(message, broken)
            case _:
                assert_never(message)

    def _user(self, message: UserMessage, prefix: str) -> Json:
        if isinstance(message.content, str):
            return {"role": "user", "content": prefix + message.content}
        texts = [part for part in message.content if isinstance(part, str)]
        images = [part.to_base64() for part in message.content if isinstance(part, Image)]
        if images and not self.info["vision"]:
            raise ModelArgumentError(
                f"The model {self.model!r} does not accept images; choose one that does, or set "
                "model_info['vision'] = True."
            )
        wire: Json = {"role": "user", "content": prefix + "\n".join(texts)}
        return {**wire, "images": images} if images else wire

    def _assistant(self, message: AssistantMessage) -> Json:
        if isinstance(message.content, str):
            return {"role": "assistant", "content": message.content}
        thinking = self._thinking(message.provider_data)
        beside = message.thought or ""
        wire: Json = {"role": "assistant", "content": "" if beside == thinking else beside}
        if thinking:
            wire[_THINKING] = thinking
        return {**wire, "tool_calls": [_call(call) for call in message.content]}

    def _thinking(self, attached: ProviderData | None) -> str:
        """The thought of an earlier turn, if this server's model had it."""
        if attached is None or attached.provider != self.provider:
            return ""
        value = attached.data.get(_THINKING)
        return value if isinstance(value, str) else ""


def thinking_data(provider: str, thinking: str) -> ProviderData | None:
    """A thought as it is kept in the conversation; None if there is none."""
    return ProviderData(provider, {_THINKING: thinking}) if thinking else None


def _call(call: FunctionCall) -> Json:
    arguments = json.loads(sendable_arguments(call.arguments) or "{}")
    function: Json = {"name": normalize_name(call.name), "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def _results(message: FunctionExecutionResultMessage, broken: dict[str, str]) -> list[Json]:
    # Servers before 0.12 know neither ids nor `tool_name`: there the order of the results counts.
    return [
        {
            "role": "tool",
            "tool_name": normalize_name(result.name),
            "tool_call_id": result.call_id,
            "content": result.content + broken.get(result.call_id, ""),
        }
        for result in message.content
    ]
