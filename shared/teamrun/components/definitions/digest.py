"""Digests of definitions: the same content has the same digest, whatever the order of its keys."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel

from teamrun.json_types import JsonMapping
from teamrun.messages.recordable import encodable

__all__ = ["canonical_json", "digest", "request_key", "version_of"]

_LARGEST_KEY = 50_000
"""Characters of the largest definition whose resolution is kept."""


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces; fields of models that are None are left out."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_none=True)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return encodable(text).encode("utf-8")


def digest(value: Any) -> str:
    """sha256 of the canonical JSON, in hexadecimal.

    None is left out so that a field that a later release adds changes no digest of today.
    """
    return hashlib.sha256(canonical_json(value)).hexdigest()


def version_of(digest: str) -> str:
    """The short form of a digest that identifies a version of a team."""
    return digest[:12]


def request_key(
    team: str | None, team_spec: JsonMapping | None, model: str | None
) -> tuple[str | None, str] | None:
    """What the resolution of a request is kept under; None if it is not kept."""
    if team_spec is None or team is not None:
        return (team, "") if team_spec is None else None
    try:
        key = json.dumps([team_spec, model], ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return (None, key) if len(key) <= _LARGEST_KEY else None
