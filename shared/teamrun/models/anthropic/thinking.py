"""Thoughts that go back to the model: whole blocks, unchanged, with their signatures.

The API refuses the results of tools if the thoughts before the calls are missing or were changed
(https://platform.claude.com/docs/en/build-with-claude/extended-thinking). Nothing here depends on
what a block contains, besides the text that is shown.
"""

from collections.abc import Sequence
from typing import cast

from teamrun.json_types import JsonObject, members
from teamrun.messages.llm import ProviderData
from teamrun.models.block_messages import Reasoned

__all__ = ["BLOCKS", "read_thoughts", "thought_data"]

Json = JsonObject

BLOCKS = frozenset({"thinking", "redacted_thinking"})
"""The types of blocks that are thoughts."""
_NAME = "thoughts"


def thought_data(provider: str, thoughts: Sequence[Reasoned]) -> ProviderData | None:
    """The thoughts as they are kept in the conversation; None if there are none."""
    kept = [{"before": thought.before, "block": thought.block} for thought in thoughts]
    return ProviderData(provider, {_NAME: kept}) if kept else None


def read_thoughts(attached: ProviderData | None, provider: str) -> list[Reasoned]:
    """The thoughts of an earlier turn, if this provider attached them.

    The data may come from a client's own history: what has another form is left out.
    """
    if attached is None or attached.provider != provider:
        return []
    found = [_thought(item) for item in members(attached.data, _NAME)]
    return [thought for thought in found if thought is not None]


def _thought(item: Json) -> Reasoned | None:
    before, block = item.get("before"), item.get("block")
    if not isinstance(block, dict) or type(before) is not int or before < 0:
        return None
    whole = cast(Json, block)
    match whole.get("type"):
        case "thinking" if whole.get("signature"):
            return Reasoned(before, str(whole.get("thinking") or ""), whole)
        case "redacted_thinking":
            return Reasoned(before, "", whole)
        case _:  # without a signature it is not taken back
            return None
