"""Conditional requests: entity tags and `If-None-Match` (RFC 9110, 8.8.3 and 13.1.2)."""

import re

__all__ = ["blob_tag", "matches", "revision_tag"]

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def revision_tag(revision: int) -> str:
    """The entity tag of a run at a revision."""
    return f'"r{revision}"'


def blob_tag(sha256: str) -> str:
    """The entity tag of a file by the digest of its bytes."""
    return f'"{sha256}"'


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether an `If-None-Match` header names the tag; weak tags compare like strong ones."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return tag in _TAG.findall(if_none_match)
