"""How many calls a server takes at once, as learned from its rejections.

The first rejections of a burst show what the server accepts: the calls that are still in flight
when the last one has been rejected. The window becomes that number. It grows when calls wait: first
by one, and faster while nothing is rejected. A later rejection changes nothing if the server has
answered many calls since the last change: then the number of calls at once was not the reason.
Otherwise, a window that had grown becomes what it was, and the next growth is four times as far
away; and one that had not grown is halved, since the limit is another one.
"""

from dataclasses import dataclass

__all__ = ["ENOUGH", "FIRST_CAUTION_S", "FORGET_S", "MOST_CAUTION_S", "STEP_S", "Window"]

ENOUGH = 2
"""A window has proved itself after this many answers for each of its places."""

FIRST_CAUTION_S = 5.0
MOST_CAUTION_S = 320.0
STEP_S = 1.0
"""The time between two steps of growth."""
FORGET_S = 600.0
"""The time after the last rejection after which the window is no longer needed."""


@dataclass(slots=True)
class Window:
    """The window of one profile; times are in seconds of any monotonic clock."""

    size: int | None = None
    """None if the server has rejected nothing lately."""
    paused_until: float = 0.0
    _step: int = 1
    _caution_s: float = FIRST_CAUTION_S
    _grow_at: float = 0.0
    _has_grown: bool = False
    _forget_at: float = 0.0
    _rejected_at: float = 0.0
    _answered: int = 0
    """Since the last change of the size, or rejection."""

    def reject(self, now: float, *, pause_s: float, accepted: int, age_s: float) -> None:
        """Note a rejection.

        Args:
            now: The time.
            pause_s: The time for which no call starts.
            accepted: The number of other calls in flight.
            age_s: How long ago the call started. If the previous rejection was not known then, both
                belong to one burst.
        """
        self.paused_until = max(self.paused_until, now + pause_s)
        is_late = now - age_s < self._rejected_at
        if self.size is None and self._answered >= ENOUGH * (accepted + 1):
            self.size = max(1, accepted)  # more calls at once were answered before
            self._grow_at = self.paused_until
        elif self.size is None or is_late or not self._is_proved():
            self._shrink(accepted, is_late=is_late)
            self._grow_at = self.paused_until + self._caution_s
        self._has_grown = False
        self._step = 1
        self._answered = 0
        self._rejected_at = now
        self._forget_at = self.paused_until + FORGET_S

    def _shrink(self, accepted: int, *, is_late: bool) -> None:
        if self.size is None or is_late:
            self.size = max(1, accepted)
        elif self._has_grown:
            self.size = max(1, accepted)
            self._caution_s = min(4 * self._caution_s, MOST_CAUTION_S)
        else:
            self.size = max(1, self.size // 2)

    def _is_proved(self) -> bool:
        return self.size is not None and self._answered >= ENOUGH * self.size

    def answer(self, count: int) -> None:
        """Note answers of the server."""
        self._answered += count

    def update(self, now: float, *, demand: int) -> None:
        """Let the window grow, or forget it.

        Args:
            now: The time.
            demand: The number of calls in flight and waiting.
        """
        if self.size is None:
            return
        if now >= self._forget_at:
            self.size, self._caution_s = None, FIRST_CAUTION_S
        elif demand > self.size and now >= max(self._grow_at, self.paused_until):
            if self._has_grown and self._is_proved():
                self._caution_s = FIRST_CAUTION_S
            self.size += self._step
            self._step *= 2
            self._has_grown = True
            self._answered = 0
            self._grow_at = now + STEP_S

    def grows_in(self, now: float) -> float:
        """The time until it may grow."""
        return max(0.0, self._grow_at - now, self.paused_until - now)
