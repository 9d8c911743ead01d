"""Reasoning that goes back to the model: it must be unchanged, with its signature.

Claude refuses the results of tools if the reasoning before the calls is missing or was changed
(https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html).
"""

import base64
import binascii
from typing import NamedTuple, cast

from teamrun.json_types import JsonObject
from teamrun.messages.llm import ProviderData
from teamrun.models.bedrock.traits import Traits

__all__ = ["Reasoning", "read_reasoning", "reasoning_data"]

Json = JsonObject

_NAME = "reasoning"


class Reasoning(NamedTuple):
    """One block of reasoning."""

    before: int
    """The number of tool calls in front of it."""
    text: str = ""
    signature: str = ""
    redacted: bytes = b""
    """In place of the text, if the provider encrypted it."""

    def block(self) -> Json:
        """The block as Converse takes it."""
        if self.redacted:
            return {"reasoningContent": {"redactedContent": self.redacted}}
        signed = {"signature": self.signature} if self.signature else {}
        return {"reasoningContent": {"reasoningText": {"text": self.text, **signed}}}


def reasoning_data(provider: str, blocks: list[Reasoning]) -> ProviderData | None:
    """The blocks as they are kept in the conversation; None if there are none."""
    kept = [
        {
            name: base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
            for name, value in block._asdict().items()
            if value or name == "before"
        }
        for block in blocks
    ]
    return ProviderData(provider, {_NAME: kept}) if kept else None


def read_reasoning(attached: ProviderData | None, provider: str, traits: Traits) -> list[Reasoning]:
    """The blocks of an earlier turn that this model takes back.

    The data may come from a client's own history: what has another form is left out.
    """
    if attached is None or attached.provider != provider or traits.reasoning == "none":
        return []
    listed: object = attached.data.get(_NAME)
    items = cast("list[object]", listed) if isinstance(listed, list) else []
    blocks = [_block(cast(Json, item)) for item in items if isinstance(item, dict)]
    if traits.reasoning == "signed":
        return [block for block in blocks if block.signature or block.redacted]
    return [block for block in blocks if block.text or block.redacted]


def _block(item: Json) -> Reasoning:
    before = item.get("before")
    try:
        redacted = base64.b64decode(_text(item.get("redacted")), validate=True)
    except (binascii.Error, ValueError):
        redacted = b""
    return Reasoning(
        before if type(before) is int and before >= 0 else 0,
        _text(item.get("text")),
        _text(item.get("signature")),
        redacted,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
