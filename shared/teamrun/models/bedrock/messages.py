"""Conversations in the form that Converse accepts.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from teamrun.json_types import JsonObject
from teamrun.messages.arguments import sendable_arguments
from teamrun.messages.image import Image
from teamrun.messages.llm import FunctionCall, FunctionExecutionResult, ProviderData
from teamrun.models.bedrock.reasoning import read_reasoning
from teamrun.models.bedrock.traits import Traits
from teamrun.models.block_messages import BlockWriter, Reasoned
from teamrun.models.tool_names import normalize_name

__all__ = ["MessageWriter"]

Json = JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWriter(BlockWriter):
    """Writes conversations for one model."""

    service: ClassVar[str] = "Bedrock"
    call_id: ClassVar[re.Pattern[str]] = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")

    traits: Traits

    def _text(self, text: str) -> Json:
        return {"text": text}

    def _image(self, image: Image) -> Json:
        form = image.media_type.removeprefix("image/")
        return {"image": {"format": form, "source": {"bytes": image.data}}}

    def _call(self, call: FunctionCall, call_id: str) -> Json:
        arguments = json.loads(sendable_arguments(call.arguments) or "{}")
        name = normalize_name(call.name)
        return {"toolUse": {"toolUseId": call_id, "name": name, "input": arguments}}

    def _result(self, result: FunctionExecutionResult, call_id: str, text: str) -> Json:
        block: Json = {"toolUseId": call_id, "content": [{"text": text}]}
        if result.is_error and self.traits.is_rich:  # the others refuse the field
            block["status"] = "error"
        return {"toolResult": block}

    def _reasoning(self, attached: ProviderData | None) -> list[Reasoned]:
        parts = read_reasoning(attached, self.provider, self.traits)
        return [Reasoned(part.before, part.text, part.block()) for part in parts]

    def _is_together(self, last: list[Json], blocks: list[Json]) -> bool:
        return self.traits.is_rich or _has_results(last) == _has_results(blocks)


def _has_results(blocks: Sequence[Json]) -> bool:
    return any("toolResult" in block for block in blocks)
