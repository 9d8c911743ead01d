"""Names for JSON objects whose members are not known in advance."""

from collections.abc import Mapping
from typing import Any

__all__ = ["JsonMapping", "JsonObject"]

JsonObject = dict[str, Any]
"""A JSON object (RFC 8259), as `json.loads` returns it."""

JsonMapping = Mapping[str, Any]
"""A JSON object that is only read."""
