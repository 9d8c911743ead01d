"""Conversations in the form that the Messages API accepts.

Source: https://platform.claude.com/docs/en/api/messages/create
"""

import json
import re
from dataclasses import dataclass
from typing import ClassVar

from teamrun.json_types import JsonObject
from teamrun.messages.arguments import sendable_arguments
from teamrun.messages.image import Image
from teamrun.messages.llm import FunctionCall, FunctionExecutionResult, ProviderData
from teamrun.models.anthropic.thinking import read_thoughts
from teamrun.models.block_messages import BlockWriter, Reasoned
from teamrun.models.tool_names import normalize_name

__all__ = ["MessageWriter"]

Json = JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWriter(BlockWriter):
    """Writes conversations for one model."""

    service: ClassVar[str] = "Anthropic"
    call_id: ClassVar[re.Pattern[str]] = re.compile(r"[a-zA-Z0-9_-]{1,64}")

    def _text(self, text: str) -> Json:
        return {"type": "text", "text": text}

    def _image(self, image: Image) -> Json:
        source = {"type": "base64", "media_type": image.media_type, "data": image.to_base64()}
        return {"type": "image", "source": source}

    def _call(self, call: FunctionCall, call_id: str) -> Json:
        arguments = json.loads(sendable_arguments(call.arguments) or "{}")
        name = normalize_name(call.name)
        return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}

    def _result(self, result: FunctionExecutionResult, call_id: str, text: str) -> Json:
        block: Json = {"type": "tool_result", "tool_use_id": call_id, "content": text}
        return {**block, "is_error": True} if result.is_error else block

    def _reasoning(self, attached: ProviderData | None) -> list[Reasoned]:
        return read_thoughts(attached, self.provider)
