"""How many calls may be in flight while it is not known what the server takes.

A server rejects a call much sooner than it answers one. So only a few calls of a burst start at
once, and their number doubles at short intervals as long as nothing is rejected: a thousand calls
have started after two seconds, and a server that takes four has rejected a few calls, not all.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Ramp"]

_FIRST_CALLS = 4
_FIRST_INTERVAL_S = 1.0
"""Until the first answer of all: until then, connections are opened and code is loaded."""
_INTERVAL_S = 0.2
_LATE_S = 0.05
"""A timer that is later than this belongs to a busy event loop, which has not read all answers."""


@dataclass(slots=True)
class Ramp:
    """The number of calls that may be in flight; it never shrinks."""

    more: Callable[[], None]
    """Called when the number has grown."""
    calls: int = field(default=_FIRST_CALLS, init=False)
    _answers: int = field(default=0, init=False)
    _due: float = field(default=0.0, init=False)
    _calls_then: int = field(default=0, init=False)
    """The number when the timer was set."""

    def answered(self, *, full: bool) -> None:
        """Note an answer; if calls wait (`full`), two answers make room for one more call."""
        self._answers += 1
        if full and self._answers % 2 == 0:
            self.calls += 1

    def rise(self) -> None:
        """Let the number grow soon, because calls wait."""
        now = time.monotonic()
        if now >= self._due:
            interval_s = _INTERVAL_S if self._answers else _FIRST_INTERVAL_S
            self._due = now + interval_s
            self._calls_then = self.calls
            asyncio.get_running_loop().call_later(interval_s, self._double)

    def _double(self) -> None:
        is_late = time.monotonic() > self._due + _LATE_S
        self._due = 0.0
        if not is_late and self.calls == self._calls_then:  # else answers have made room
            self.calls *= 2
        self.more()
