"""Members of a server's answer beyond OpenAI's, kept unchanged.

Some servers refuse the next request without them: Gemini requires the thought signature of each
tool call (https://ai.google.dev/gemini-api/docs/openai), DeepSeek the thoughts of a turn with tool
calls (https://api-docs.deepseek.com/guides/thinking_mode).
"""

from typing import Any, cast

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.llm import ProviderData

__all__ = ["THOUGHTS", "attached_to_call", "attached_to_message", "merged", "provider_data"]

Json = JsonObject

_OF_MESSAGE = frozenset(
    {
        "annotations",
        "audio",
        "content",
        "function_call",
        "id",
        "name",
        "object",
        "parsed",
        "prefix",
        "refusal",
        "role",
        "tool_call_id",
        "tool_calls",
        "type",
    }
)
_OF_CALL = frozenset({"arguments", "function", "id", "index", "name", "type"})
_OF_FUNCTION = frozenset({"arguments", "name"})
_DEPTH = 32
"""Levels of objects and lists that are kept; no provider needs deeper data."""
THOUGHTS = frozenset({"reasoning_content", "reasoning", "thinking"})
"""Texts that a stream sends in pieces."""


def attached_to_message(message: Json) -> Json:
    """The members of a message, or of the delta of one, that are not OpenAI's."""
    return _beyond(message, _OF_MESSAGE)


def attached_to_call(call: Json) -> Json:
    """The members of an element of `tool_calls`, or of a part of one, that are not OpenAI's."""
    found = _beyond(call, _OF_CALL)
    function = call.get("function")
    inner = _beyond(cast(Json, function), _OF_FUNCTION) if isinstance(function, dict) else {}
    return {**found, "function": inner} if inner else found


def merged(before: Json, more: Json) -> Json:
    """The data of two parts of one answer: thoughts and lists are joined, the rest replaced."""
    return {**before, **{name: _joined(name, before.get(name), more[name]) for name in more}}


def _joined(name: str, before: object, more: object) -> object:
    match before, more:
        case str(), str() if name in THOUGHTS:
            return before + more
        case list(), list():
            return [*cast(list[Any], before), *cast(list[Any], more)]
        case dict(), dict():
            return merged(cast(Json, before), cast(Json, more))
        case _:
            return more


def provider_data(provider: str, data: Json, *, with_thoughts: bool) -> ProviderData | None:
    """The data to return to the provider, or None if there is none.

    Args:
        provider: The server's name.
        data: The server's data.
        with_thoughts: Return thoughts, as required with tool calls; with text they are refused.
    """
    kept = {key: value for key, value in data.items() if with_thoughts or key not in THOUGHTS}
    return ProviderData(provider, kept) if kept else None


def _beyond(node: JsonMapping, known: frozenset[str]) -> Json:
    return {
        key: value
        for key, value in node.items()
        if key not in known and value not in (None, "", [], {}) and _is_shallow(value, _DEPTH)
    }


def _is_shallow(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        inner = list(cast(Json, value).values())
    elif isinstance(value, list):
        inner = cast(list[Any], value)
    else:
        return True
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in inner)
