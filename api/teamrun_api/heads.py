"""Request heads that can be read in two ways, which another server before this one may do."""

from collections import Counter

from starlette.types import Scope

from teamrun.errors import UsageError
from teamrun_api.faults import AmbiguousLength, InvalidParameter, RequestFault

__all__ = ["head_fault"]

_SINGLE = {
    name.lower().encode(): name
    for name in (
        "Authorization",
        "Content-Length",
        "Content-Type",
        "Host",
        "Idempotency-Key",
        "Last-Event-ID",
        "Origin",
    )
}
"""Headers with one value each (RFC 9110, 5.3); all others may be lists."""


def head_fault(scope: Scope) -> UsageError | None:
    """The ambiguity of a request's head, if there is one.

    A body with two lengths is how requests are smuggled past a proxy (RFC 9112, 6.1 and 11.2). A
    header with two values could be checked by its first and used by its last.
    """
    counts = Counter(name for name, _ in scope["headers"])
    if b"transfer-encoding" in counts and b"content-length" in counts:
        return AmbiguousLength(
            "The request has Content-Length and Transfer-Encoding; send one of the two."
        )
    if len(counts) < counts.total():
        for name, count in counts.items():
            if count > 1 and name in _SINGLE:
                return _repeated(_SINGLE[name])
    return None


def _repeated(name: str) -> InvalidParameter:
    detail = "the header is repeated; send it once."
    fault = RequestFault(detail, "repeated_header", header=name)
    return InvalidParameter(f"{name}: {detail}", faults=[fault])
