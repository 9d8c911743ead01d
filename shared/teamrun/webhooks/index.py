"""The list of deliveries to a registered endpoint, newest first.

    t/{tenant}/deliveries/{endpoint}/.../{inverted ms}.{log_id}-{inverted seq}
    t/{tenant}/deliveries/{endpoint}/.../{inverted ms}.{log_id}-{inverted seq}.given_up

A marker is put before the first record of a delivery, and is empty: the record is beside the log.
If the log is deleted first, the second object has what is left to say.
"""

import re
from datetime import datetime
from typing import NamedTuple, Self

from teamrun.core.refs import RunRef
from teamrun.runs.log.keys import delivery_index, list_path, list_place

__all__ = ["Place", "given_up_key", "index_key", "key_after", "place_of"]

_GIVEN_UP = ".given_up"

_NAME = re.compile(
    r"(?P<at>\d{13})\.(?P<log>[A-Za-z0-9_]{1,64})-(?P<seq>\d{9})"
    rf"(?P<note>{re.escape(_GIVEN_UP)})?"
)

_LAST_SEQ = 10**9 - 1  # as far as a client can name one


class Place(NamedTuple):
    """A delivery in the list."""

    name: str
    """Its name, which cursors consist of."""
    at: int
    """The time of the event, inverted; lower for newer ones."""
    ref: RunRef
    """The log that the event comes from."""
    seq: int
    is_note: bool
    """The log was deleted before the delivery was over; the object has its last state."""

    @classmethod
    def parse(cls, tenant: str, name: str) -> Self | None:
        """The place with that name; None if it is not one."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        return cls(
            name,
            int(found["at"]),
            RunRef(tenant, found["log"]),
            _LAST_SEQ - int(found["seq"]),
            found["note"] is not None,
        )


def index_key(ref: RunRef, webhook_id: str, *, at: datetime, seq: int) -> str:
    """The marker of a delivery."""
    name = f"{list_place(at):013d}.{ref.run_id}-{_LAST_SEQ - seq:09d}"
    return delivery_index(ref.tenant, webhook_id) + list_path(name)


def given_up_key(ref: RunRef, webhook_id: str, *, at: datetime, seq: int) -> str:
    """The note that a delivery was given up with its log."""
    return index_key(ref, webhook_id, at=at, seq=seq) + _GIVEN_UP


def key_after(tenant: str, webhook_id: str, name: str) -> str:
    """The marker after which a page continues."""
    return delivery_index(tenant, webhook_id) + list_path(name)


def place_of(tenant: str, key: str) -> Place | None:
    """The place of a marker; None if its name is not valid."""
    return Place.parse(tenant, key.rpartition("/")[2])
