"""JSON text as plain data: an object that has a name twice is refused.

RFC 8259, 4, leaves open which of two values counts, and `json.loads` drops the first in silence.
YAML is read by the same rule in `yaml_text`.
"""

import json
from typing import Any

__all__ = ["load_json"]


def load_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is not JSON, or an object has a name twice.
    """
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the name {twice[:64]!r} twice; keep one")
    return found
