"""The messages of an OpenAI chat completion, in the form that the model's server accepts.

OpenAI's own models take nearly every sequence of messages. The chat templates of others are
strict, and `ModelInfo` has a switch for each rule: `multiple_system_messages`, `alternate_roles`
and `empty_content`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import assert_never, cast

from teamrun.errors import UsageError
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
from teamrun.models.openai.attached import THOUGHTS
from teamrun.models.openai.turns import (
    alternating,
    content_part,
    filled,
    with_one_system_message,
)
from teamrun.models.quirks import NO_QUIRKS, Quirks
from teamrun.models.tool_names import normalize_name
from teamrun.models.turn_texts import broken_calls, prefix_of

__all__ = ["MessageWriter"]

Json = JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWriter:
    """Writes conversations for one model."""

    model: str
    info: ModelInfo
    provider: str = ""
    """The server; data that it attached to earlier turns is sent back, and no other."""
    add_name_prefixes: bool = False
    include_name_in_message: bool = True
    quirks: Quirks = NO_QUIRKS

    def write(self, messages: Sequence[LLMMessage]) -> list[Json]:
        """The messages as they are sent.

        Raises:
            UsageError: One has an image, and the model takes none.
        """
        broken = broken_calls(messages)
        prefixed = self.add_name_prefixes or (not self.quirks.names and _has_several(messages))
        wire = [p for message in messages for p in self._wire(message, broken, prefixed=prefixed)]
        if not self.info.get("empty_content", True):
            wire = [rest for part in wire if (rest := filled(part)) is not None]
        alternate = self.info.get("alternate_roles", False)
        if alternate or not self.info.get("multiple_system_messages", True):
            wire = with_one_system_message(wire)
        wire = alternating(wire, prefixed=prefixed) if alternate else wire
        return wire if self.quirks.names else [_nameless(part) for part in wire]

    def _wire(self, message: LLMMessage, broken: dict[str, str], *, prefixed: bool) -> list[Json]:
        match message:
            case SystemMessage():
                return [{"role": "system", "content": message.content}]
            case UserMessage():
                return [self._user(message, prefix_of(message.source) if prefixed else "")]
            case AssistantMessage():
                return [self._assistant(message)]
            case FunctionExecutionResultMessage():
                return self._results(message, broken)
            case _:
                assert_never(message)

    def _user(self, message: UserMessage, prefix: str) -> Json:
        wire: Json = {"role": "user", "content": self._user_content(message.content, prefix)}
        if self.include_name_in_message and (name := normalize_name(message.source)):
            wire["name"] = name
        return wire

    def _user_content(self, content: str | list[str | Image], prefix: str) -> str | list[Json]:
        if isinstance(content, str):
            return prefix + content
        if not self.info["vision"] and any(isinstance(part, Image) for part in content):
            raise UsageError(
                f"The model {self.model!r} does not accept images; choose one that does, or set "
                "model_info['vision'] = True."
            )
        parts = [content_part(part) for part in content]
        return [{"type": "text", "text": prefix}, *parts] if prefix else parts

    def _assistant(self, message: AssistantMessage) -> Json:
        attached = self._attached(message.provider_data)
        thoughts = [attached.get(name) for name in THOUGHTS if name in attached]
        if not self.quirks.thoughts:
            attached = {name: attached[name] for name in attached if name not in THOUGHTS}
        if isinstance(message.content, str):
            return {**attached, "role": "assistant", "content": message.content}
        calls = [self._call(call) for call in message.content]
        # A thought that the server sent apart from the text is no text.
        text = None if message.thought in thoughts else message.thought
        return {**attached, "role": "assistant", "content": text, "tool_calls": calls}

    def _call(self, call: FunctionCall) -> Json:
        arguments = sendable_arguments(call.arguments) or "{}"
        attached = self._attached(call.provider_data)
        function: Json = {"name": normalize_name(call.name), "arguments": arguments}
        if isinstance(inner := attached.get("function"), dict):
            function = {**cast(Json, inner), **function}
        return {**attached, "id": self._id(call.id), "type": "function", "function": function}

    def _attached(self, attached: ProviderData | None) -> Json:
        return attached.data if attached and attached.provider == self.provider else {}

    def _results(
        self, message: FunctionExecutionResultMessage, broken: dict[str, str]
    ) -> list[Json]:
        return [
            {
                "role": "tool",
                "tool_call_id": self._id(result.call_id),
                "content": result.content + broken.get(result.call_id, ""),
            }
            for result in message.content
        ]

    def _id(self, call_id: str) -> str:
        """The id of a call; one that another provider gave is replaced if it has another form."""
        length = self.quirks.id_length
        if not length or re.fullmatch(rf"[a-zA-Z0-9]{{{length}}}", call_id):
            return call_id
        return sha256(call_id.encode("utf-8", "replace")).hexdigest()[:length]


def _has_several(messages: Sequence[LLMMessage]) -> bool:
    """Whether there are several users."""
    return len({message.source for message in messages if isinstance(message, UserMessage)}) > 1


def _nameless(part: Json) -> Json:
    return {name: part[name] for name in part if name != "name"}
