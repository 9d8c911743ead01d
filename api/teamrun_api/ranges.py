"""Downloads that are resumed: `Range: bytes=N-` (RFC 9110, 14)."""

import re

from teamrun.json_types import JsonObject
from teamrun_api.context import Call
from teamrun_api.faults import RangeNotSatisfiable

__all__ = ["RANGE", "start_of"]

_FROM = re.compile(r"bytes=([0-9]{1,15})-")

RANGE: JsonObject = {
    "name": "Range",
    "in": "header",
    "required": False,
    "description": "`bytes=N-`: only the bytes from number N on. Any other range is ignored.",
    "schema": {"type": "string", "examples": ["bytes=1048576-"]},
}


def start_of(call: Call, size: int, tag: str) -> int:
    """The first byte that the client wants; 0 if it wants all, or its part is of other content.

    Raises:
        RangeNotSatisfiable: The content ends before this byte.
    """
    condition = call.header("if-range")
    asked = _FROM.fullmatch((call.header("range") or "").strip())
    if asked is None or condition not in (None, tag):
        return 0
    start = int(asked[1])
    if start and start >= size:
        raise RangeNotSatisfiable(
            f"Range begins at byte {start}, and there are {size} bytes.", size=size
        )
    return start
