"""Sandboxes that stay between executions, so that Python code keeps its variables."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from teamrun.code.sandbox.limits import SandboxLimits
from teamrun.code.sandbox.process import Reply, SandboxProcess
from teamrun.errors import SessionLost
from teamrun.messages.code import CodeBlock

__all__ = ["Sessions"]

_MOST: Final = 16
"""How many sessions a process has at once; the one that was not used for longest ends first."""


@dataclass(slots=True)
class _Session:
    sandbox: SandboxProcess
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Digests of the files that are in its work folder."""
    timer: asyncio.TimerHandle | None = None


class Sessions:
    """The sandboxes of one process, by key.

    Args:
        limits: Of each.
        python: The path of the Python in them.
        idle: Seconds after which a session that is not used ends.
    """

    def __init__(self, limits: SandboxLimits, *, python: str | None, idle: float) -> None:
        self._limits = limits
        self._python = python
        self._idle = idle
        self._open: OrderedDict[str, _Session] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        """Keys of sessions that have ended, whose users are told in their next execution."""
        self._closing: set[asyncio.Task[None]] = set()

    async def execute(
        self, key: str, blocks: Sequence[CodeBlock], files: Mapping[str, bytes]
    ) -> Reply:
        """Execute blocks in a session; it starts if there is none.

        Raises:
            SessionLost: The session has ended since; the next execution starts a new one.
        """
        if key in self._ended:
            del self._ended[key]
            raise SessionLost(
                "The session has ended, because it was not used or there were too many. Its"
                " variables and imports are lost; the next execution starts a new one."
            )
        session = self._open.get(key)
        if session is None:
            session = await self._start(key)
        self._open.move_to_end(key)
        async with session.lock:
            if session.timer is not None:
                session.timer.cancel()
            given = {
                path: data for path, data in files.items() if self._is_new(session, path, data)
            }
            try:
                reply = await session.sandbox.execute(blocks, given)
            except BaseException:  # it was cancelled in the middle: its state is unknown
                await self._close(key, session)
                raise
            if session.sandbox.has_ended:
                await self._close(key, session)
                return reply
            for path, data in {**given, **reply.files}.items():
                session.files[path] = sha256(data).digest()
            loop = asyncio.get_running_loop()
            session.timer = loop.call_later(self._idle, self._expire, key, session)
        return reply

    async def close(self) -> None:
        """End all sessions."""
        for key, session in [*self._open.items()]:
            await self._close(key, session)
        self._ended.clear()

    async def _start(self, key: str) -> _Session:
        while len(self._open) >= _MOST:
            oldest = next(iter(self._open))
            self._ended[oldest] = None
            await self._close(oldest, self._open[oldest])
        sandbox = await SandboxProcess.start(self._limits, python=self._python, stateful=True)
        session = self._open[key] = _Session(sandbox)
        return session

    def _is_new(self, session: _Session, path: str, data: bytes) -> bool:
        return session.files.get(path) != sha256(data).digest()

    def _expire(self, key: str, session: _Session) -> None:
        self._ended[key] = None
        while len(self._ended) > 1000:
            self._ended.popitem(last=False)
        task = asyncio.get_running_loop().create_task(self._close(key, session))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, key: str, session: _Session) -> None:
        if self._open.get(key) is session:
            del self._open[key]
        if session.timer is not None:
            session.timer.cancel()
        await session.sandbox.close()
