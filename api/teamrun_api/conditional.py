"""Conditional requests: entity tags, `If-Match` and `If-None-Match` (RFC 9110, 8.8.3 and 13.1)."""

import re

from teamrun.errors import PreconditionFailed
from teamrun_api.faults import PreconditionRequired

__all__ = [
    "blob_tag",
    "matches",
    "revision_tag",
    "version_if_given",
    "version_in",
    "version_tag",
]

_VERSION = re.compile(r'"v(\d{1,6})"')
_UNQUOTED = re.compile(r'"?v?(\d{1,6})"?')
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def revision_tag(revision: int) -> str:
    """The entity tag of a run at a revision."""
    return f'"r{revision}"'


def blob_tag(sha256: str) -> str:
    """The entity tag of a file by the digest of its bytes."""
    return f'"{sha256}"'


def version_tag(version: int) -> str:
    """The entity tag of a resource at a version."""
    return f'"v{version}"'


def version_in(if_match: str | None) -> int | None:
    """The version that an `If-Match` header requires (RFC 9110, 13.1.1); None if any will do.

    Raises:
        PreconditionRequired: There is no such header.
        PreconditionFailed: It names no version, so none can match.
    """
    if if_match is None:
        raise PreconditionRequired(
            "Send If-Match with the ETag of the resource, so that no other change is lost; "
            "`If-Match: *` changes any version."
        )
    if if_match.strip() == "*":
        return None
    found = _VERSION.fullmatch(if_match.strip())
    if found is None:
        raise PreconditionFailed(_no_tag(if_match.strip()))
    return int(found[1])


def _no_tag(if_match: str) -> str:
    meant = _UNQUOTED.fullmatch(if_match)
    hint = "" if meant is None else f" Did you mean `{version_tag(int(meant[1]))}`?"
    return (
        f"If-Match is `{if_match[:80]}`, which is no ETag of the resource. Send one ETag as a GET"
        f" of the resource has it, with its quotes.{hint}"
    )


def version_if_given(if_match: str | None) -> int | None:
    """The same of an operation that does not require the header; None if there is none.

    Raises:
        PreconditionFailed: It names no version, so none can match.
    """
    return None if if_match is None else version_in(if_match)


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether an `If-None-Match` header names the tag; weak tags compare like strong ones."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return tag in _TAG.findall(if_none_match)
