"""The seam of the response cache: where answers of models are kept for a time.

Above it: `cached.py`. Below it: `LocalAnswers`, for a process on its own, and `RedisLive`, which
keeps the answers for all processes of a deployment.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol

__all__ = ["Answers", "LocalAnswers"]

_MOST_BYTES: Final = 64_000_000


class Answers(Protocol):
    """Keeps answers under keys that say nothing about them.

    Methods raise `DeliveryError` if the server cannot be reached; callers ask the model instead.
    """

    async def answer(self, key: str) -> bytes | None:
        """The answer, if it is still kept."""
        ...

    async def keep_answer(self, key: str, answer: bytes, life: timedelta) -> None:
        """Keep an answer for a time."""
        ...


class LocalAnswers:
    """Answers in the memory of this process, at most 64 MB; the least recently used are dropped.

    Args:
        clock: Seconds of a clock that never goes back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0

    async def answer(self, key: str) -> bytes | None:
        """The answer, if it is still kept."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if self._clock() >= kept[0]:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept[1]

    async def keep_answer(self, key: str, answer: bytes, life: timedelta) -> None:
        """Keep an answer for a time."""
        self._drop(key)
        self._kept[key] = (self._clock() + life.total_seconds(), answer)
        self._bytes += len(answer)
        while self._bytes > _MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        self._bytes -= 0 if kept is None else len(kept[1])
