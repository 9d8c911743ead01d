"""Places for work at the same time, of which no tenant may have all."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

__all__ = ["Places", "Shares"]


class Shares:
    """A limit for each tenant.

    Args:
        most: How many places a tenant may have.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._tenants: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, tenant: str) -> asyncio.Semaphore:
        """The places of a tenant; they are forgotten when none is in use."""
        places = self._tenants.get(tenant)
        if places is None:
            places = self._tenants[tenant] = asyncio.Semaphore(self._most)
        return places


class Places:
    """Places for jobs, and for those that wait for one; a tenant has at most 80 % of each.

    Args:
        count: The places.
        waiting: How many jobs may wait.
    """

    def __init__(self, count: int, *, waiting: int) -> None:
        self._all = asyncio.Semaphore(count)
        self._shares = Shares(_share(count))
        self._most_waiting = waiting
        self._waiting: Counter[str] = Counter()

    def may_wait(self, tenant: str) -> bool:
        """Whether one more job of the tenant may wait; otherwise it is left to a sweep."""
        is_free = self._waiting.total() < self._most_waiting
        return is_free and self._waiting[tenant] < _share(self._most_waiting)

    def has_free(self, tenant: str) -> bool:
        """Whether the tenant has a place left, if there is one at all."""
        return not self._shares.of(tenant).locked()

    async def free(self) -> None:
        """Return when there is a free place."""
        async with self._all:
            pass

    @asynccontextmanager
    async def place(self, tenant: str) -> AsyncGenerator[None]:
        """A place for a job of the tenant."""
        # Its own limit first: what waits for that keeps no place from others.
        async with AsyncExitStack() as taken:
            self._waiting[tenant] += 1
            try:
                await taken.enter_async_context(self._shares.of(tenant))
                await taken.enter_async_context(self._all)
            finally:
                self._waiting[tenant] -= 1
                if not self._waiting[tenant]:
                    del self._waiting[tenant]
            yield


def _share(count: int) -> int:
    return max(1, count * 4 // 5)
