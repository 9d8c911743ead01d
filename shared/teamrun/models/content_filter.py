"""Which categories of a provider's content filter took effect.

Azure describes its filters in errors (`innererror.content_filter_result`) and in answers
(`content_filter_results`): `{"violence": {"filtered": true, "severity": "medium"}}`. Source:
https://learn.microsoft.com/azure/foundry/openai/concepts/content-filter-annotations.
"""

import re
from typing import Final, cast

from teamrun.json_types import JsonObject

__all__ = ["filtered_categories"]

_RESULTS: Final = ("content_filter_result", "content_filter_results")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""Anything else could be a text of the conversation."""
_DEPTH: Final = 5


def filtered_categories(body: object) -> list[str]:
    """The names of the categories that blocked a prompt or an answer, in order.

    Args:
        body: An error or a choice of an answer, as parsed JSON. Severities, citations and the
            names of block lists are not part of the result.
    """
    return list(dict.fromkeys(_found(body, 0)))


def _found(node: object, depth: int) -> list[str]:
    if depth > _DEPTH:
        return []
    if isinstance(node, list):
        return [name for item in cast(list[object], node) for name in _found(item, depth + 1)]
    if not isinstance(node, dict):
        return []
    names: list[str] = []
    for key, value in cast(JsonObject, node).items():
        names += _blocking(value) if key in _RESULTS else _found(value, depth + 1)
    return names


def _blocking(results: object) -> list[str]:
    if not isinstance(results, dict):
        return []
    return [
        name
        for name, result in cast(JsonObject, results).items()
        if _NAME.fullmatch(name) and _is_filtered(result)
    ]


def _is_filtered(result: object) -> bool:
    if isinstance(result, list):  # one item for each block list, in older versions
        return any(_is_filtered(item) for item in cast(list[object], result))
    return isinstance(result, dict) and cast(JsonObject, result).get("filtered") is True
