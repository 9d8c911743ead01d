"""An estimate of the size of a prompt, without a tokenizer."""

from collections.abc import Sequence

from teamrun.json_types import JsonMapping
from teamrun.messages.image import Image
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

__all__ = ["estimate_tokens"]

_CHARACTERS_PER_TOKEN = 4
_IMAGE_TOKENS = 765
"""A 1024 x 1024 image at high detail, as GPT-4o counts it."""
_MESSAGE_TOKENS = 4
"""Role and separators of each message."""


def estimate_tokens(messages: Sequence[LLMMessage], *, tools: Sequence[JsonMapping] = ()) -> int:
    """The size in tokens: a quarter of the characters, and a fixed size for an image."""
    characters = sum(_characters(message) for message in messages)
    characters += sum(len(str(tool)) for tool in tools)
    return characters // _CHARACTERS_PER_TOKEN + _MESSAGE_TOKENS * len(messages)


def _characters(message: LLMMessage) -> int:
    match message:
        case SystemMessage():
            return len(message.content)
        case UserMessage():
            parts = [message.content] if isinstance(message.content, str) else message.content
            return sum(
                _IMAGE_TOKENS * _CHARACTERS_PER_TOKEN if isinstance(part, Image) else len(part)
                for part in parts
            )
        case AssistantMessage():
            if isinstance(message.content, str):
                return len(message.content)
            return sum(len(call.name) + len(call.arguments) for call in message.content)
        case FunctionExecutionResultMessage():
            return sum(len(result.content) for result in message.content)
