"""Conversations in the form that Converse accepts.

Converse takes system prompts apart from the messages, which alternate and begin and end with the
user's. It refuses empty texts and ids of calls with other characters than its own.
Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.messages.arguments import sendable_arguments
from teamrun.messages.image import Image
from teamrun.messages.llm import (
    AssistantMessage,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from teamrun.messages.recordable import encodable
from teamrun.models.base import ModelInfo
from teamrun.models.bedrock.reasoning import read_reasoning
from teamrun.models.bedrock.traits import Traits
from teamrun.models.tool_names import normalize_name
from teamrun.models.turn_texts import DONE, EMPTY, GO_ON, broken_calls, prefix_of

__all__ = ["Conversation", "MessageWriter", "text_block"]

Json = JsonObject

_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}


@dataclass(slots=True)
class Conversation:
    """A conversation on the wire."""

    system: list[Json] = field(default_factory=list[Json])
    messages: list[Json] = field(default_factory=list[Json])

    def add(self, role: str, blocks: list[Json], *, together: bool) -> None:
        """Continue the last message, or begin another.

        Args:
            role: `user` or `assistant`.
            blocks: The content.
            together: Whether the model takes texts in the message with the results of tools.
        """
        last = self.messages[-1] if self.messages else None
        if last is None or last["role"] != role:
            self.messages.append({"role": role, "content": blocks})
        elif together or _has_results(last["content"]) == _has_results(blocks):
            last["content"] += blocks
        else:
            self.messages.append({"role": "assistant", "content": [text_block(DONE)]})
            self.messages.append({"role": role, "content": blocks})


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWriter:
    """Writes conversations for one model."""

    model: str
    info: ModelInfo
    traits: Traits
    provider: str
    """The name under which reasoning of earlier turns is kept."""
    add_name_prefixes: bool | None = None
    """Begin each text of a user with its source; None: if there are several sources."""

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
                    out.system.append(text_block(message.content))
                continue
            is_assistant = isinstance(message, AssistantMessage)
            blocks = self._blocks(message, broken, prefixed=prefixed)
            role = "assistant" if is_assistant else "user"
            out.add(role, blocks, together=is_assistant or self.traits.is_rich)
        if not out.messages or out.messages[0]["role"] != "user":
            out.messages.insert(0, {"role": "user", "content": [text_block(GO_ON)]})
        if out.messages[-1]["role"] != "user":
            out.messages.append({"role": "user", "content": [text_block(GO_ON)]})
        return out

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
                return [self._result(result, broken) for result in message.content]
            case _:
                assert_never(message)

    def _user(self, message: UserMessage, prefix: str) -> list[Json]:
        content = message.content
        if isinstance(content, str):
            return [text_block(content, prefix=prefix)]
        blocks = [
            self._image(part) if isinstance(part, Image) else text_block(part)
            for part in content
            if isinstance(part, Image) or part.strip()
        ] or [text_block(EMPTY)]
        return [text_block(prefix), *blocks] if prefix else blocks

    def _image(self, image: Image) -> Json:
        if not self.info["vision"]:
            raise UsageError(
                f"The model {self.model!r} does not accept images; choose one that does, or set "
                "model_info['vision'] = True."
            )
        if image.media_type not in _FORMATS:
            raise UsageError(
                f"Bedrock takes no images of type {image.media_type!r}, but PNG, JPEG, GIF and "
                "WebP; convert the image."
            )
        source = {"bytes": image.data}
        return {"image": {"format": _FORMATS[image.media_type], "source": source}}

    def _assistant(self, message: AssistantMessage) -> list[Json]:
        if isinstance(message.content, str):
            return [text_block(message.content)]
        reasoning = read_reasoning(message.provider_data, self.provider, self.traits)
        thought = message.thought or ""
        is_repeated = thought == "".join(block.text for block in reasoning)
        blocks = [block.block() for block in reasoning if not block.before]
        if thought.strip() and not is_repeated:
            blocks.append(text_block(thought))
        for number, call in enumerate(message.content, start=1):
            blocks.append(_call(call))
            blocks += [block.block() for block in reasoning if block.before == number]
        return blocks or [text_block(EMPTY)]

    def _result(self, result: FunctionExecutionResult, broken: dict[str, str]) -> Json:
        text = result.content + broken.get(result.call_id, "")
        block: Json = {
            "toolUseId": _sendable_id(result.call_id),
            "content": [text_block(text)],
        }
        if result.is_error and self.traits.is_rich:  # the others refuse the field
            block["status"] = "error"
        return {"toolResult": block}


def text_block(text: str, *, prefix: str = "") -> Json:
    """A text as a block of content: never blank, and without halves of surrogate pairs."""
    return {"text": encodable(prefix + (text if text.strip() else EMPTY))}


def _call(call: FunctionCall) -> Json:
    arguments = json.loads(sendable_arguments(call.arguments) or "{}")
    name = normalize_name(call.name)
    return {"toolUse": {"toolUseId": _sendable_id(call.id), "name": name, "input": arguments}}


def _sendable_id(call_id: str) -> str:
    """The id of a call; one that another provider gave is replaced if it has another form."""
    if _ID.fullmatch(call_id):
        return call_id
    return f"call_{hashlib.sha256(call_id.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _has_results(blocks: Sequence[Json]) -> bool:
    return any("toolResult" in block for block in blocks)
