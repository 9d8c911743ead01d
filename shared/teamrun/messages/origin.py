"""The source of a message's `id` and `created_at`.

Outside a run: random UUIDs and the wall clock. Inside a run the engine sets an `Origin`
derived from the seed of the run and the time of its log, so that a replay creates the
same messages.
"""

import os
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, Protocol

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

_IDS_AT_ONCE: Final = 256
_pool: list[str] = []
"""Random identifiers that no message has yet."""

_VERSION_4: Final = bytes(0x40 | byte & 0x0F for byte in range(256))
_VARIANT: Final = bytes(0x80 | byte & 0x3F for byte in range(256))
_PLACES: Final = [place for place in range(36) if place not in (8, 13, 18, 23)]
"""Where the 32 digits are in the text of a UUID."""


def new_id() -> str:
    """A new UUID (RFC 9562, version 4 outside a run)."""
    origin = current_origin.get()
    return _random_id() if origin is None else origin.new_id()


def now() -> datetime:
    """The present time in UTC; inside a run, the time of the last delivered log entry."""
    origin = current_origin.get()
    return datetime.now(UTC) if origin is None else origin.now()


def _random_id() -> str:
    try:
        return _pool.pop()  # atomic: threads make messages too
    except IndexError:
        first, *others = _random_ids()
        _pool.extend(others)
        return first


def _random_ids() -> list[str]:
    # The digits of all identifiers are put in place at once: 0.3 us an identifier, which is one
    # part of ten of what uuid.uuid4() takes.
    raw = bytearray(os.urandom(16 * _IDS_AT_ONCE))
    raw[6::16] = raw[6::16].translate(_VERSION_4)
    raw[8::16] = raw[8::16].translate(_VARIANT)
    digits = raw.hex().encode()
    text = bytearray(b"-" * 36 * _IDS_AT_ONCE)
    for index, place in enumerate(_PLACES):
        text[place::36] = digits[index::32]
    ids = text.decode()
    return [ids[at : at + 36] for at in range(0, len(ids), 36)]


if hasattr(os, "register_at_fork"):  # absent on Windows
    os.register_at_fork(after_in_child=_pool.clear)  # a child must not repeat its parent's ids
