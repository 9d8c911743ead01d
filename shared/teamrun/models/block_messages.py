"""Conversations for providers that take content in blocks, with system prompts apart.

Their messages alternate and begin and end with the user's; they refuse empty texts, and ids of
calls with other characters than their own. The blocks themselves are the provider's.
"""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, assert_never

from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.messages.image import Image
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ProviderData,
    SystemMessage,
    UserMessage,
)
from teamrun.messages.recordable import encodable
from teamrun.models.base import ModelInfo
from teamrun.models.turn_texts import DONE, EMPTY, GO_ON, broken_calls, prefix_of

__all__ = ["BlockWriter", "Conversation", "Reasoned"]

Json = JsonObject

_FORMATS = ("image/png", "image/jpeg", "image/gif", "image/webp")


@dataclass(slots=True)
class Conversation:
    """A conversation on the wire."""

    system: list[Json] = field(default_factory=list[Json])
    messages: list[Json] = field(default_factory=list[Json])


class Reasoned(NamedTuple):
    """Reasoning of an earlier turn."""

    before: int
    """The number of tool calls in front of it."""
    text: str
    """The part of it that was shown."""
    block: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockWriter(ABC):
    """Writes conversations for one model."""

    service: ClassVar[str]
    """Its name in messages."""
    call_id: ClassVar[re.Pattern[str]]
    """The form of the ids of calls."""

    model: str
    info: ModelInfo
    provider: str
    """The name under which reasoning of earlier turns is kept."""
    add_name_prefixes: bool | None = None
    """Begin each text of a user with its source; None: if there are several sources."""

    @abstractmethod
    def _text(self, text: str) -> Json:
        """A block with a text, which is not blank."""

    @abstractmethod
    def _image(self, image: Image) -> Json:
        """A block with an image of a format that the model takes."""

    @abstractmethod
    def _call(self, call: FunctionCall, call_id: str) -> Json:
        """A block with a tool call of the model."""

    @abstractmethod
    def _result(self, result: FunctionExecutionResult, call_id: str, text: str) -> Json:
        """A block with the result of a tool call."""

    @abstractmethod
    def _reasoning(self, attached: ProviderData | None) -> list[Reasoned]:
        """The reasoning of an earlier turn that this model takes back."""

    def _is_together(self, last: list[Json], blocks: list[Json]) -> bool:
        """Whether the model takes both in one message of the user."""
        return True

    def write(self, messages: Sequence[LLMMessage]) -> Conversation:
        """The messages as they are sent.

        Raises:
            UsageError: One has an image that the model does not take.
        """
        out = Conversation()
        broken = broken_calls(messages)
        prefixed = self._prefixed(messages)
        for message in messages:
            if isinstance(message, SystemMessage):
                if message.content.strip():
                    out.system.append(self._filled(message.content))
                continue
            blocks = self._blocks(message, broken, prefixed=prefixed)
            role = "assistant" if isinstance(message, AssistantMessage) else "user"
            self._add(out.messages, role, blocks)
        if not out.messages or out.messages[0]["role"] != "user":
            out.messages.insert(0, {"role": "user", "content": [self._filled(GO_ON)]})
        if out.messages[-1]["role"] != "user":
            out.messages.append({"role": "user", "content": [self._filled(GO_ON)]})
        return out

    def _add(self, messages: list[Json], role: str, blocks: list[Json]) -> None:
        """Continue the last message, or begin another."""
        last = messages[-1] if messages else None
        if last is None or last["role"] != role:
            messages.append({"role": role, "content": blocks})
        elif role == "assistant" or self._is_together(last["content"], blocks):
            last["content"] += blocks
        else:
            messages.append({"role": "assistant", "content": [self._filled(DONE)]})
            messages.append({"role": role, "content": blocks})

    def _prefixed(self, messages: Sequence[LLMMessage]) -> bool:
        if self.add_name_prefixes is not None:
            return self.add_name_prefixes
        sources = {message.source for message in messages if isinstance(message, UserMessage)}
        return len(sources) > 1

    def _blocks(
        self,
        message: UserMessage | AssistantMessage | FunctionExecutionResultMessage,
        broken: dict[str, str],
        *,
        prefixed: bool,
    ) -> list[Json]:
        match message:
            case UserMessage():
                return self._user(message, prefix_of(message.source) if prefixed else "")
            case AssistantMessage():
                return self._assistant(message)
            case FunctionExecutionResultMessage():
                return [self._result_block(result, broken) for result in message.content]
            case _:
                assert_never(message)

    def _user(self, message: UserMessage, prefix: str) -> list[Json]:
        content = message.content
        if isinstance(content, str):
            return [self._filled(content, prefix=prefix)]
        blocks = [
            self._checked_image(part) if isinstance(part, Image) else self._filled(part)
            for part in content
            if isinstance(part, Image) or part.strip()
        ] or [self._filled(EMPTY)]
        return [self._filled(prefix), *blocks] if prefix else blocks

    def _checked_image(self, image: Image) -> Json:
        if not self.info["vision"]:
            raise UsageError(
                f"The model {self.model!r} does not accept images; choose one that does, or set "
                "model_info['vision'] = True."
            )
        if image.media_type not in _FORMATS:
            raise UsageError(
                f"{self.service} takes no images of type {image.media_type!r}, but PNG, JPEG, GIF "
                "and WebP; convert the image."
            )
        return self._image(image)

    def _assistant(self, message: AssistantMessage) -> list[Json]:
        if isinstance(message.content, str):
            return [self._filled(message.content)]
        reasoning = self._reasoning(message.provider_data)
        thought = message.thought or ""
        is_repeated = thought == "".join(part.text for part in reasoning)
        blocks = [part.block for part in reasoning if not part.before]
        if thought.strip() and not is_repeated:
            blocks.append(self._filled(thought))
        for number, call in enumerate(message.content, start=1):
            blocks.append(self._call(call, self._sendable_id(call.id)))
            blocks += [part.block for part in reasoning if part.before == number]
        return blocks or [self._filled(EMPTY)]

    def _result_block(self, result: FunctionExecutionResult, broken: dict[str, str]) -> Json:
        text = result.content + broken.get(result.call_id, "")
        return self._result(result, self._sendable_id(result.call_id), _never_blank(text))

    def _filled(self, text: str, *, prefix: str = "") -> Json:
        return self._text(_never_blank(text, prefix=prefix))

    def _sendable_id(self, call_id: str) -> str:
        """The id of a call; one that another provider gave is replaced if it has another form."""
        if self.call_id.fullmatch(call_id):
            return call_id
        return f"call_{hashlib.sha256(call_id.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _never_blank(text: str, *, prefix: str = "") -> str:
    """The text, never blank, and without halves of surrogate pairs."""
    return encodable(prefix + (text if text.strip() else EMPTY))
