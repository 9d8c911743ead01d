"""JSON text as plain data: an object that has a name twice is refused.

RFC 8259, 4, leaves open which of two values counts, and `json.loads` drops the first in silence.
YAML is read by the same rule in `yaml_text`.
"""

import json
import math
from typing import Any, NoReturn

from teamrun.json_types import JsonObject

__all__ = ["load_json"]


def load_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is not JSON, or an object has a name twice; also if a number has too many
            digits, or if values are nested too deeply.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_no_number,
        )
    except RecursionError:
        raise ValueError("the values are nested too deeply") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # Python bounds the digits, because converting them takes long
        raise ValueError(f"the number {text[:16]}... has too many digits") from None


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:16]} is too large")
    return number


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the name {twice[:64]!r} twice; keep one")
    return found
