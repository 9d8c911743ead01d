"""Lets the calls of one model profile start, in the order in which they came.

Without limits and without rejections, a call starts at once, and the server of the live state is
not asked. Only a burst of calls is spread over a moment (`ramp.py`). From the first rejection on,
or if the profile has limits, one task asks for the share of this process, and asks again when the
demand changes.
"""

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextvars import Context
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from teamrun.errors import DeliveryError
from teamrun.models.pacing.base import CallLimits, Demand, Rejection, Share, Shares
from teamrun.models.pacing.line import Line, Waiter
from teamrun.models.pacing.local import HORIZON_S, LocalShares
from teamrun.models.pacing.ramp import Ramp

__all__ = ["Pacer"]

logger = logging.getLogger(__name__)

_ALONE_S = 5.0
"""How long the process continues on its own after the shared state could not be reached."""
_SAME_PAUSE_S = 0.05
"""The shared end of a pause reaches this process with this imprecision at most."""
_MOST_COSTS = 100
"""Start times that are asked for at once."""


class _Start(NamedTuple):
    """A start time that this process has been given."""

    at: float
    tokens: int
    """The estimate for which it was given."""


@dataclass(eq=False)
class Pacer:
    """The calls of one profile in one process; used on one event loop at a time.

    Args:
        profile: Its name.
        limits: Of its server.
        shares: Divides the limits; by default this process has them alone.
    """

    profile: str
    limits: CallLimits = field(default_factory=CallLimits)
    shares: Shares = field(default_factory=LocalShares)
    active: int = field(default=0, init=False)
    """The number of calls in flight."""
    rejected: int = field(default=0, init=False)
    """The number of calls that the server has rejected."""
    completion_tokens: float = field(default=0.0, init=False)
    """A moving average, for estimates."""

    def __post_init__(self) -> None:
        self._member = uuid.uuid4().hex
        self._waiting = Line()
        self._is_free = not self.limits.has_any
        self._ramp = Ramp(self._proceed)
        self._asked = Demand(self._member, 0, 0)
        self._places = 0
        self._paused_until = 0.0
        self._starts: deque[_Start] = deque()
        self._correction = self._answered = self._returned = 0
        self._rejections: deque[tuple[float, float]] = deque()
        self._alone: LocalShares | None = None
        self._alone_until = 0.0
        self._news: asyncio.Event = asyncio.Event()
        self._sharing: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """The number of calls that wait to start."""
        return len(self._waiting)

    async def close(self) -> None:
        """End the background task, and give the share back."""
        task, self._sharing = self._sharing, None
        if task is not None and not task.done() and not task.get_loop().is_closed():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._give_back()

    async def enter(
        self, *, tokens: int = 0, is_batch: bool = False, is_first: bool = False
    ) -> None:
        """Return when a call may start; `leave` or `reject` must follow.

        Args:
            tokens: An estimate of the tokens that it will use, if they are limited.
            is_batch: Whether it comes after the calls of all runs that are no items of a batch.
            is_first: Whether it comes before the other calls that wait, because it was rejected.
        """
        if self._is_free and not self._waiting and self.active < self._ramp.calls:
            self.active += 1
            return
        waiter = Waiter(asyncio.get_running_loop().create_future(), tokens)
        self._waiting.add(waiter, is_batch=is_batch, is_first=is_first)
        self._proceed()
        if not self._asked.waiting and not waiter.started.done():
            self._news.set()
        try:
            await waiter.started
        except asyncio.CancelledError:
            if not waiter.started.cancelled():
                self.leave(correction=-tokens)  # it was let in at the same moment
            else:
                self._waiting.discard(waiter)
                self._return_starts(keep=len(self._waiting))
            raise

    def leave(self, *, correction: int = 0) -> None:
        """Note the end of a call.

        Args:
            correction: Tokens that it has used in addition to its estimate.
        """
        self.active -= 1
        self._correction += correction
        self._answered += 1
        if self._is_free:
            self._ramp.answered(full=bool(self._waiting))
            if self._waiting:
                self._proceed()
            return
        self._proceed()
        if self.active != self._places:  # others may have the place
            self._news.set()

    def reject(self, pause_s: float, *, started_at: float, correction: int = 0) -> None:
        """Note the end of a call that the server has rejected.

        Args:
            pause_s: The time for which no call starts.
            started_at: When the call started, by `time.monotonic`.
            correction: As for `leave`.
        """
        now = time.monotonic()
        self._rejections.append((pause_s, started_at))
        self._pause(now + pause_s)
        self.rejected += 1
        self.active -= 1
        self._correction += correction
        self.engage()

    def engage(self) -> None:
        """Ask for a share before further calls start: the server has rejected a call."""
        if self._is_free:
            self._is_free = False
            self._places = 0
        self._news.set()
        self._proceed()

    def _return_starts(self, *, keep: int) -> None:
        """Give back the start times, and their tokens, that are too many."""
        while len(self._starts) > keep:
            self._correction -= self._starts.pop().tokens
            self._returned += 1
            self._news.set()

    def _pause(self, until: float) -> None:
        now = time.monotonic()
        if until <= self._paused_until + _SAME_PAUSE_S:
            return
        if self._paused_until <= now:
            logger.warning(
                "The server of a model profile takes no calls for now; they wait",
                extra={
                    "action": "model.paused",
                    "profile": self.profile,
                    "delay_s": round(until - now, 3),
                    "active": self.active,
                    "waiting": len(self._waiting),
                },
            )
        self._paused_until = until

    def _proceed(self) -> None:
        """Let calls start, as far as they may."""
        now = time.monotonic()
        while self._waiting:
            started = self._waiting.head().started
            if not started.done():  # else it has just been cancelled
                if not self._may_start(now):
                    break
                self.active += 1
                started.set_result(None)
            self._waiting.take()
        if self._is_free:
            if self._waiting:
                self._ramp.rise()
        elif (self.active or self._waiting or self._rejections) and not self._is_sharing():
            loop = asyncio.get_running_loop()
            self._sharing = loop.create_task(self._share(), context=Context())

    def _may_start(self, now: float) -> bool:
        if self._is_free:
            return self.active < self._ramp.calls
        if self.active >= self._places or now < self._paused_until:
            return False
        if not self.limits.has_rate:
            return True
        if not self._starts:
            self._news.set()
            return False
        if self._starts[0].at > now:
            return False
        # The call for which it was given may have been cancelled, or overtaken.
        self._correction += self._waiting.head().tokens - self._starts.popleft().tokens
        return True

    def _is_sharing(self) -> bool:
        task = self._sharing
        return task is not None and not task.done() and not task.get_loop().is_closed()

    async def _share(self) -> None:
        """Ask for this process's share until no call is left or no limit applies."""
        self._news = asyncio.Event()
        while not self._is_free and (self.active or self._waiting or self._rejections):
            self._news.clear()
            share = await self._ask(self._demand())
            self._take(share)
            self._proceed()
            if self._rejections:
                continue
            await self._until(share)
        if not self._is_free:
            await self._give_back()
        self._sharing = None
        self._proceed()  # a call may have come while the share was given back

    async def _give_back(self) -> None:
        self._return_starts(keep=0)
        self._places = 0
        await self._ask(self._demand())

    def _demand(self) -> Demand:
        self._asked = Demand(
            self._member,
            active=self.active,
            waiting=len(self._waiting),
            costs=tuple(self._costs()),
            answered=self._answered,
            correction=self._correction,
            rejection=self._rejection(),
            returned=self._returned,
        )
        self._answered = self._correction = self._returned = 0
        return self._asked

    def _rejection(self) -> Rejection | None:
        if not self._rejections:
            return None
        pause_s, started_at = self._rejections.popleft()
        return Rejection(pause_s, time.monotonic() - started_at)

    def _costs(self) -> Iterator[int]:
        """The tokens of the calls that need a start time soon."""
        is_ahead = bool(self._starts) and self._starts[-1].at > time.monotonic() + HORIZON_S
        if self.limits.has_rate and not is_ahead:
            room = max(1, min(self._places - self.active, _MOST_COSTS))
            for waiter in islice(self._waiting, len(self._starts), room):
                yield waiter.tokens

    def _take(self, share: Share) -> None:
        now = time.monotonic()
        self._places = share.places
        # There can be fewer start times than costs.
        given = zip(share.starts_in_s, self._asked.costs, strict=False)
        self._starts.extend(_Start(now + start, tokens) for start, tokens in given)
        self._return_starts(keep=len(self._waiting))
        if share.pause_s > 0:
            self._pause(now + share.pause_s)
        if share.is_free and now >= self._paused_until:
            self._is_free = True

    async def _until(self, share: Share) -> None:
        """Return when the demand has changed, or when time has made a call possible."""
        wait_s = share.again_s
        if self._waiting and self.active < self._places:
            start = self._starts[0].at if self._starts else 0.0
            wait_s = min(wait_s, max(start, self._paused_until) - time.monotonic())
        try:
            async with asyncio.timeout(wait_s):
                await self._news.wait()
        except TimeoutError:
            self._proceed()

    async def _ask(self, demand: Demand) -> Share:
        now = time.monotonic()
        if now >= self._alone_until:
            try:
                share = await self.shares.share(self.profile, self.limits, demand)
            except DeliveryError as error:
                if self._alone is None:
                    logger.warning(
                        "The limits of a model profile are not shared while Redis is unavailable",
                        extra={
                            "action": "model.limits_not_shared",
                            "profile": self.profile,
                            "error": str(error),
                        },
                    )
                    self._alone = LocalShares()
                self._alone_until = time.monotonic() + _ALONE_S
            else:
                self._alone = None
                return share
        assert self._alone is not None, "it is set before the time until which it is used"
        return await self._alone.share(self.profile, self.limits, demand)
