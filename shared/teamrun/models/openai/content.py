"""Text, thoughts and usage in the untyped JSON of chat completions, in every form that was seen."""

import json
from dataclasses import dataclass
from typing import cast

from teamrun.json_types import JsonObject, member
from teamrun.messages.llm import RequestUsage
from teamrun.models.unreadable import unreadable

__all__ = ["Content", "content_of", "usage_with"]

Json = JsonObject

_THOUGHT_FIELDS = ("reasoning_content", "reasoning", "thinking")
"""DeepSeek and vLLM use the first, Ollama and OpenRouter the second. OpenAI sends none."""
_THOUGHT_PARTS = frozenset({"thinking", "reasoning", "reasoning_content", "thought"})
_OF_PART = frozenset({"type", "text"})
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a message or a delta besides tool calls. Empty texts are omitted."""

    text: str
    thought: str
    refusal: str
    unread: str = ""
    """The kind of a part that has none of the three, such as an image."""


def content_of(message: Json) -> Content:
    """The content of a message or of a delta.

    Raises:
        ModelError: It is neither text nor parts.
    """
    thoughts = [_flat(message[name]) for name in _THOUGHT_FIELDS if message.get(name)][:1]
    texts: list[str] = []
    refusals = [_flat(message.get("refusal"))]
    unread = "audio" if message.get("audio") else ""
    content = message.get("content")
    if isinstance(content, str):  # nearly always
        texts.append(content)
    elif isinstance(content, dict) and not content.keys() & _OF_PART:  # requested JSON
        texts.append(json.dumps(content, ensure_ascii=False))
    elif content is not None:
        for part in _parts(cast(object, content)):
            kind = str(part.get("type"))
            if kind in _THOUGHT_PARTS:
                thoughts.append(_flat(part))
            elif kind == "refusal":
                refusals.append(_flat(part.get("refusal")))
            elif "text" in part:
                texts.append(_flat(part["text"]))
            else:  # images, references and other parts have no text
                unread = kind
    return Content("".join(texts), "".join(thoughts), "".join(refusals), unread)


def usage_with(usage: RequestUsage, block: Json) -> RequestUsage:
    """`usage` with the counts of a later block; a zero there changes nothing."""
    prompt = member(block, "prompt_tokens_details") or member(block, "input_tokens_details")
    answer = member(block, "completion_tokens_details") or member(block, "output_tokens_details")
    return RequestUsage(
        prompt_tokens=_count(block, "prompt_tokens", "input_tokens") or usage.prompt_tokens,
        completion_tokens=_count(block, "completion_tokens", "output_tokens")
        or usage.completion_tokens,
        cached_tokens=_count(prompt, "cached_tokens")
        or _count(block, "cached_tokens", "prompt_cache_hit_tokens")
        or usage.cached_tokens,
        reasoning_tokens=_count(answer, "reasoning_tokens")
        or _count(block, "reasoning_tokens")
        or usage.reasoning_tokens,
    )


def _parts(content: object) -> list[Json]:
    if isinstance(content, dict):
        return [cast(Json, content)]
    if not isinstance(content, list):
        raise unreadable(f"its content is a {type(content).__name__}")
    parts = cast(list[object], content)
    return [cast(Json, p) if isinstance(p, dict) else {"text": p} for p in parts]


def _flat(node: object, depth: int = 0) -> str:
    """The text in a text, in a list of texts and parts, or in a part."""
    match node:
        case str():
            return node
        case list() if depth < _DEPTH:
            return "".join(_flat(item, depth + 1) for item in cast(list[object], node))
        case dict() if depth < _DEPTH:
            part = cast(Json, node)
            names = ("text", "thinking", "reasoning", "summary", "content")
            return next(filter(None, (_flat(part.get(name), depth + 1) for name in names)), "")
        case _:
            return ""


def _count(node: Json, *names: str) -> int:
    for name in names:
        value = node.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 2**53:
            return int(value)
    return 0
