"""The identifiers and the time of a run, which a replay must reproduce."""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime

__all__ = ["RunOrigin"]


class RunOrigin:
    """The identifiers and the time of a run, derived from its seed and its log.

    A replay must create messages with the same ids and times, so neither may come from the machine.
    """

    __slots__ = ("_seed", "count", "time")

    def __init__(self, seed: str, time: datetime, *, count: int = 0) -> None:
        self._seed = hashlib.blake2b(key=bytes.fromhex(seed), digest_size=16)
        self.count = count
        """The number of ids so far."""
        self.time = time

    def new_id(self) -> str:
        """The next identifier, formatted as a UUIDv8 (RFC 9562, custom content)."""
        self.count += 1
        digest = self._seed.copy()
        digest.update(self.count.to_bytes(8, "big"))
        raw = digest.hexdigest()
        return f"{raw[:8]}-{raw[8:12]}-8{raw[13:16]}-8{raw[17:20]}-{raw[20:]}"

    @contextmanager
    def restored(self) -> Generator[None]:
        """Give the identifiers that are used inside again afterwards.

        Not every execution of a run saves or loads the state of its team, and all of them must give
        a message the same id.
        """
        count = self.count
        yield
        self.count = count

    def now(self) -> datetime:
        """The time of the last delivered entry."""
        return self.time
