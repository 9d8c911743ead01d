"""The record of deliveries, beside the log that the events come from.

    hook/{seq:08d}/{target}/{round:03d}.try-{k:02d}    a failed try
    hook/{seq:08d}/{target}/{round:03d}.settled        the delivery is over, with its last try
    hook/{seq:08d}/{target}/{round:03d}.begun          when a redelivery was requested; from 1

An event is due for a target while the newest round has no `settled`; a round has eleven objects at
most. All objects are written once,
after what they report: a crash in between repeats the request, and loses none.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from teamrun.storage.base import ObjectStore
from teamrun.webhooks.resources import Try

__all__ = [
    "Delivery",
    "Outcome",
    "Record",
    "Settled",
    "delivery_of",
    "keys_of_records",
    "read_all_records",
    "read_keys",
    "read_records",
]

_MOST_READ = 120
"""How many objects of a delivery are read: those of the newest rounds. A round with one request is
two objects, so `resources.MOST_TRIES` requests are among them."""

Outcome = Literal["delivered", "failed", "skipped"]
"""`failed`: all tries failed, the receiver answered 410, or requests must not go there. `skipped`:
the endpoint was disabled or deleted."""


class Settled(BaseModel):
    """The end of a delivery."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    type: str
    """The type of the event."""
    outcome: Outcome
    at: datetime
    last: Try | None = None
    """The last try; null if there was none."""


class Begun(BaseModel):
    """The beginning of a further round."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    at: datetime


class Delivery(NamedTuple):
    """An event and a receiver of it."""

    folder: str
    """The folder of the records beside the log; ends in `/`."""
    seq: int
    target: str

    @property
    def place(self) -> str:
        """The folder of its record."""
        return f"{self.folder}{self.seq:08d}/{self.target}/"


@dataclass(slots=True)
class Record:
    """What is known about a delivery."""

    delivery: Delivery
    round: int = 0
    begun_at: datetime | None = None
    """When a client asked for the round; None for the first one."""
    tries: list[Try] = field(default_factory=list[Try])
    """The failed tries of the round."""
    earlier: list[Try] = field(default_factory=list[Try])
    """The requests of earlier rounds that were read, the oldest first."""
    settled: Settled | None = None
    is_known: bool = False
    """Whether anything has been recorded."""

    @property
    def made(self) -> list[Try]:
        """The requests of the round, the oldest first."""
        last = None if self.settled is None else self.settled.last
        return self.tries if last is None else [*self.tries, last]

    @property
    def next_at(self) -> datetime | None:
        """The earliest time of the next try; None if it may be made at once."""
        return self.tries[-1].next_at if self.tries else None

    @property
    def is_requested(self) -> bool:
        """Whether a client has asked for this round, and no try of it was made yet."""
        return self.round > 0 and not self.tries and self.settled is None

    async def add_try(self, store: ObjectStore, made: Try) -> None:
        """Store a failed try that will be repeated.

        Raises:
            Unavailable: Storage does not respond.
        """
        self.tries.append(made)
        self.is_known = True
        key = f"{self.delivery.place}{self.round:03d}.try-{len(self.tries):02d}"
        await store.put_new(key, made.model_dump_json().encode())

    async def settle(self, store: ObjectStore, settled: Settled) -> None:
        """Store the end of the delivery.

        Raises:
            Unavailable: Storage does not respond.
        """
        self.settled, self.is_known = settled, True
        key = f"{self.delivery.place}{self.round:03d}.settled"
        await store.put_new(key, settled.model_dump_json().encode())

    async def begin_again(self, store: ObjectStore, at: datetime) -> None:
        """Start the next round; two requests for it start the same one.

        Raises:
            Unavailable: Storage does not respond.
        """
        self._next_round(self.round + 1, at)
        self.is_known = True
        key = f"{self.delivery.place}{self.round:03d}.begun"
        await store.put_new(key, Begun(at=at).model_dump_json().encode())

    def add(self, name: str, data: bytes) -> None:
        """Add what an object of the record contains; they come in the order of their names.

        Raises:
            pydantic.ValidationError: The object is damaged.
        """
        self.is_known = True
        number, _, what = name.partition(".")
        if int(number) > self.round:
            self._next_round(int(number), None)
        if what == "begun" and data:  # earlier releases wrote no time
            self.begun_at = Begun.model_validate_json(data).at
        elif what == "settled":
            self.settled = Settled.model_validate_json(data)
        elif what.startswith("try-"):
            self.tries.append(Try.model_validate_json(data))

    def _next_round(self, number: int, begun_at: datetime | None) -> None:
        self.earlier += self.made
        self.round, self.begun_at, self.tries, self.settled = number, begun_at, [], None


async def read_records(store: ObjectStore, folder: str, seqs: Iterable[int]) -> list[Record]:
    """The records of all deliveries of these events; none of a delivery without a try.

    Raises:
        Unavailable: Storage does not respond.
    """
    keys: list[str] = []
    for seq in seqs:
        keys += await keys_of_records(store, f"{folder}{seq:08d}/")
    return await read_keys(store, folder, keys)


async def read_all_records(store: ObjectStore, folder: str) -> list[Record]:
    """The records of all deliveries of a log, in the order of its events.

    Raises:
        Unavailable: Storage does not respond.
    """
    return await read_keys(store, folder, await keys_of_records(store, folder))


async def read_keys(store: ObjectStore, folder: str, keys: list[str]) -> list[Record]:
    """The records that consist of these objects, in their order.

    Of each delivery at most `_MOST_READ` objects are read.

    Raises:
        Unavailable: Storage does not respond.
    """
    parts: dict[Delivery, list[str]] = {}
    for key in keys:
        parts.setdefault(delivery_of(folder, key), []).append(key)
    newest = [key for part in parts.values() for key in sorted(part, key=_order)[-_MOST_READ:]]
    return _records(folder, newest, await store.get_many(newest) if newest else [])


async def keys_of_records(store: ObjectStore, folder: str) -> list[str]:
    """The keys of all objects under a folder of records, in their order.

    Raises:
        Unavailable: Storage does not respond.
    """
    keys: list[str] = []
    while page := await store.list(folder, after=keys[-1] if keys else ""):
        keys += page
        if len(page) < 1_000:
            break
    return keys


def delivery_of(folder: str, key: str) -> Delivery:
    """The delivery that an object of a record belongs to."""
    seq, target, _ = key.removeprefix(folder).split("/")
    return Delivery(folder, int(seq), target)


def _order(key: str) -> tuple[int, str]:
    """By the number of the round, which may have more than three digits."""
    number, _, what = key.rpartition("/")[2].partition(".")
    return int(number), what


def _records(folder: str, keys: list[str], stored: list[bytes | None]) -> list[Record]:
    found: dict[Delivery, Record] = {}
    for key, data in zip(keys, stored, strict=True):
        delivery = delivery_of(folder, key)
        record = found.setdefault(delivery, Record(delivery))
        try:
            record.add(key.rpartition("/")[2], data or b"")
        except ValidationError:  # damaged: the try is made again
            continue
    return list(found.values())
