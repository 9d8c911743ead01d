"""The `Prefer` header (RFC 7240), of which `wait` is used: how long a request may wait.

An invalid preference is ignored, as the RFC requires.
"""

import re

__all__ = ["preferences", "wait_of"]

_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_HEAD = re.compile(
    r"""\s*(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)
        (?:\s*=\s*(?P<value>"(?:[^"\\]|\\.)*"|[!#$%&'*+.^_`|~0-9A-Za-z-]*))?
        \s*(?:;.*)?$""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

LONGEST_DIGITS = 9


def preferences(header: str) -> dict[str, str]:
    """The preferences of a header by lower-case name; the first of equal names counts."""
    found: dict[str, str] = {}
    for item in _ITEM.findall(header):
        head = _HEAD.match(item)
        if head is None:
            continue
        value = head["value"] or ""
        if value.startswith('"'):
            value = _ESCAPE.sub(r"\1", value[1:-1])
        found.setdefault(head["name"].lower(), value)
    return found


def wait_of(header: str | None) -> int | None:
    """The seconds of `wait`, if the header has a valid one."""
    if not header:
        return None
    value = preferences(header).get("wait", "")
    if not (value.isascii() and value.isdigit()) or len(value) > LONGEST_DIGITS:
        return None
    return int(value)
