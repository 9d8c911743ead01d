"""The list of deliveries to a registered endpoint, newest first.

    t/{tenant}/deliveries/{endpoint}/.../{inverted ms}.{log_id}-{inverted seq}

A marker is put before the first record of a delivery, and is empty: the record is beside the log.
"""

import re
from datetime import datetime
from typing import NamedTuple, Self

from teamrun.core.refs import RunRef
from teamrun.runs.log.keys import delivery_index, list_path, list_place

__all__ = ["Place", "index_key", "key_after", "place_of"]

_NAME = re.compile(r"(?P<at>\d{13})\.(?P<log>[A-Za-z0-9_]{1,64})-(?P<seq>\d{9})")

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

    @classmethod
    def parse(cls, tenant: str, name: str) -> Self | None:
        """The place with that name; None if it is not one."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        return cls(
            name, int(found["at"]), RunRef(tenant, found["log"]), _LAST_SEQ - int(found["seq"])
        )


def index_key(ref: RunRef, webhook_id: str, *, at: datetime, seq: int) -> str:
    """The marker of a delivery."""
    name = f"{list_place(at):013d}.{ref.run_id}-{_LAST_SEQ - seq:09d}"
    return delivery_index(ref.tenant, webhook_id) + list_path(name)


def key_after(tenant: str, webhook_id: str, name: str) -> str:
    """The marker after which a page continues."""
    return delivery_index(tenant, webhook_id) + list_path(name)


def place_of(tenant: str, key: str) -> Place | None:
    """The place of a marker; None if its name is not valid."""
    return Place.parse(tenant, key.rpartition("/")[2])
