"""Digests of definitions: the same content has the same digest, whatever the order of its keys."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel

from teamrun.messages.recordable import encodable

__all__ = ["canonical_json", "digest", "version_of"]


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
