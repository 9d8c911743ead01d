"""A store that fails as planned, for tests of code that must survive it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple, TypeVar

from teamrun.errors import Unavailable
from teamrun.storage.base import ObjectStat, ObjectStore
from teamrun.storage.batches import delete_each

__all__ = ["Fault", "FaultStore", "Outcome", "StoreCall"]

T = TypeVar("T")

Outcome = Literal["unavailable", "reply_lost", "held", "reply_held"]
"""What happens to a call.

`unavailable`: it is not executed and raises `Unavailable`. `reply_lost`: it is executed and raises
`Unavailable`. `held`: it is executed when the test releases it. `reply_held`: it is executed, and
returns when the test releases it.
"""


class StoreCall(NamedTuple):
    """A call to the store."""

    method: str
    key: str
    """The key, the first key of several, or the prefix."""


@dataclass(kw_only=True)
class Fault:
    """Which calls fail, and how."""

    outcome: Outcome
    method: str = "*"
    """A shell pattern for the name of the method."""
    key: str = "*"
    """A shell pattern for the key; `*` matches `/` too."""
    after: int = 0
    """The number of matching calls that succeed first."""
    times: int | None = 1
    """The number of calls that fail; None for all."""
    reached: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set when a call has met the fault."""
    release: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """The test sets it to release held calls."""
    hits: int = 0
    """The number of calls that have failed."""

    def meets(self, call: StoreCall) -> bool:
        """Whether this call fails; counts it."""
        if not (fnmatchcase(call.method, self.method) and fnmatchcase(call.key, self.key)):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        self.reached.set()
        return True


class FaultStore:
    """Wraps a store; each call may meet one of the planned faults.

    Args:
        store: The store that does the work.
        decide: Called for each call that meets no planned fault; for random schedules.
    """

    def __init__(
        self, store: ObjectStore, *, decide: Callable[[StoreCall], Outcome | None] | None = None
    ) -> None:
        self._store = store
        self._decide = decide
        self._faults: list[Fault] = []
        self.calls: list[StoreCall] = []
        """Every call so far, in order."""

    def plan(self, fault: Fault) -> Fault:
        """Add a fault; returns it, so that the test can wait for it and release it."""
        self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """Remove all faults; held calls continue."""
        faults, self._faults = self._faults, []
        for fault in faults:
            fault.release.set()

    async def put_new(self, key: str, data: bytes) -> bool:
        """Create the object; returns False if it already exists."""
        return await self._do("put_new", key, lambda: self._store.put_new(key, data))

    async def put(self, key: str, data: bytes) -> None:
        """Create or replace the object."""
        await self._do("put", key, lambda: self._store.put(key, data))

    async def get(self, key: str) -> bytes:
        """The bytes of the object."""
        return await self._do("get", key, lambda: self._store.get(key))

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        """The objects in the order of `keys`."""
        first = keys[0] if keys else ""
        return await self._do("get_many", first, lambda: self._store.get_many(keys))

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Keys below the folder `prefix`, greater than `after`, sorted."""
        return await self._do(
            "list", prefix, lambda: self._store.list(prefix, after=after, limit=limit)
        )

    async def delete(self, key: str) -> None:
        """Remove the object."""
        await self._do("delete", key, lambda: self._store.delete(key))

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Remove the objects one by one, so that a fault may meet any of them."""
        await delete_each(self, keys)

    async def stream(
        self, key: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of the object in chunks; a fault meets the call before the first one."""
        await self._do("stream", key, _nothing)
        async for chunk in self._store.stream(key, start=start, end=end):
            yield chunk

    async def stats(self, prefix: str, *, after: str = "", limit: int = 1000) -> "list[ObjectStat]":
        """What `list` returns, with sizes and modification times."""
        return await self._do(
            "stats", prefix, lambda: self._store.stats(prefix, after=after, limit=limit)
        )

    async def check(self) -> None:
        """Check the store below."""
        await self._do("check", "", self._store.check)

    async def close(self) -> None:
        """Close the store below."""
        await self._store.close()

    async def _do(self, method: str, key: str, act: Callable[[], Awaitable[T]]) -> T:
        call = StoreCall(method, key)
        self.calls.append(call)
        for fault in self._faults:
            if fault.meets(call):
                return await _go_wrong(fault.outcome, call, act, fault.release)
        outcome = self._decide(call) if self._decide is not None else None
        if outcome is None:
            return await act()
        passed = asyncio.Event()
        asyncio.get_running_loop().call_soon(passed.set)
        return await _go_wrong(outcome, call, act, passed)


async def _nothing() -> None:
    pass


async def _go_wrong(
    outcome: Outcome, call: StoreCall, act: Callable[[], Awaitable[T]], release: asyncio.Event
) -> T:
    if outcome == "unavailable":
        raise Unavailable(f"{call.method} of {call.key!r} failed, as planned")
    if outcome == "held":
        await release.wait()
        return await act()
    result = await act()
    if outcome == "reply_lost":
        raise Unavailable(f"the reply of {call.method} of {call.key!r} was lost, as planned")
    await release.wait()
    return result
