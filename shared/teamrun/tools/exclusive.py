"""One call at a time of an agent or team that several tools, or parallel calls, may use.

It keeps a conversation. Two concurrent calls would mix theirs, and the failure of one would undo
the messages of the other. So the second call waits until the first has ended.
"""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import ClassVar, TypeAlias

from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ToolError

__all__ = ["Exclusive"]

_Chain: TypeAlias = "frozenset[Exclusive]"

_chain: ContextVar[_Chain] = ContextVar("teamrun_exclusive", default=frozenset())
"""The locks that the enclosing calls have: the call of an agent's tool may call another agent."""


class _Waiting:
    """A call that waits, inside the calls of `chain`."""

    __slots__ = ("chain", "wanted")

    def __init__(self, chain: _Chain, wanted: "Exclusive") -> None:
        self.chain = chain
        self.wanted = wanted


class Exclusive:
    """Serializes the calls of one agent or team, in the order of their arrival.

    Args:
        name: The name for error messages.
        user: The agent or team.
    """

    _all: ClassVar["weakref.WeakValueDictionary[int, Exclusive]"] = weakref.WeakValueDictionary()
    _waiting: ClassVar["set[_Waiting]"] = set()

    def __init__(self, name: str, user: object) -> None:
        self._name = name
        self._user = user  # as long as it is here, no other object has its id
        self._lock = asyncio.Lock()
        self._loop: weakref.ref[asyncio.AbstractEventLoop] | None = None

    @classmethod
    def of(cls, user: object, name: str) -> "Exclusive":
        """The one of that agent or team, which all tools around it share."""
        found = cls._all.get(id(user))
        if found is None:
            found = cls._all[id(user)] = cls(name, user)
        return found

    @asynccontextmanager
    async def entered(self, token: CancellationToken | None) -> AsyncGenerator[None]:
        """Wait until no other call is inside; then none begins until the block is left.

        Raises:
            ToolError: The wait would never end, since a call that this one is part of is inside.
            asyncio.CancelledError: The token was cancelled.
        """
        lock = self._lock_of_loop()
        with self._noted(_Waiting(_chain.get(), self)), cancelled_by(token):
            await lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def inside(self) -> Generator[None]:
        """Mark code as part of the call that has entered; not for use across a `yield`."""
        before = _chain.get()
        _chain.set(before | {self})
        try:
            yield
        finally:
            _chain.set(before)

    @contextmanager
    def _noted(self, waiting: _Waiting) -> Generator[None]:
        if self._is_behind(waiting.chain):
            raise ToolError(
                f"{self._name!r} is already working on the task that this call is part of. "
                "Answer without it."
            )
        self._waiting.add(waiting)
        try:
            yield
        finally:
            self._waiting.discard(waiting)

    def _is_behind(self, chain: _Chain) -> bool:
        """Whether the call inside waits, directly or indirectly, for one of the chain."""
        seen: set[Exclusive] = set()
        reached = [self]
        while reached:
            each = reached.pop()
            if each in chain:
                return True
            if each not in seen:
                seen.add(each)
                reached += [wait.wanted for wait in tuple(self._waiting) if each in wait.chain]
        return False

    def _lock_of_loop(self) -> asyncio.Lock:
        """A lock belongs to the loop in which calls have waited for it."""
        loop = asyncio.get_running_loop()
        if self._loop is None or self._loop() is not loop:
            self._loop, self._lock = weakref.ref(loop), asyncio.Lock()
        return self._lock
