"""When a request is sent again, and after what time."""

import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from teamrun.client.errors import (
    APIConnectionError,
    NotFoundError,
    ServerUnreachableError,
    TeamrunAPIError,
)
from teamrun.client.requests import Pause, Reply, Request
from teamrun.errors import TeamrunError

__all__ = ["RETRIED_STATUSES", "RetryPolicy", "attempts"]

RETRIED_STATUSES = frozenset({408, 429, 502, 503, 504})
"""Statuses after which the same request may succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How a client retries: requests without an answer, and those with one of `RETRIED_STATUSES`.

    The delay is the server's `Retry-After`, or else a random time between half of `first_delay` and
    all of it, doubled with each retry up to `max_delay`. All times are in seconds.
    """

    max_retries: int = 4
    """Of a single request; 0 turns retries off."""
    max_reconnects: int = 30
    """Of an interrupted stream or a long poll, in succession; what arrives resets the count."""
    first_delay: float = 0.5
    max_delay: float = 8.0
    max_retry_after: float = 60.0
    """If the server asks for a longer wait, the error is raised at once."""
    retry_unreachable: bool = True
    """Whether to retry before the server has answered at all; if not, a wrong URL fails at once."""

    def delay(self, error: TeamrunError, retries: int) -> float | None:
        """The seconds to wait after an error; None if the error is final.

        Args:
            error: The error of the last attempt.
            retries: The number of retries so far.
        """
        if not self._is_transient(error):
            return None
        asked = error.retry_after if isinstance(error, TeamrunAPIError) else None
        if asked is not None and asked > self.max_retry_after:
            return None
        longest = min(self.first_delay * 2.0 ** min(retries, 30), self.max_delay)
        return max(longest * random.uniform(0.5, 1), asked or 0)

    def _is_transient(self, error: TeamrunError) -> bool:
        if isinstance(error, ServerUnreachableError):
            return self.retry_unreachable
        if isinstance(error, TeamrunAPIError):
            return error.status in RETRIED_STATUSES
        return isinstance(error, APIConnectionError)


def attempts(
    request: Request[Any], policy: RetryPolicy
) -> Generator[Request[Any] | Pause, Any, Reply]:
    """Send a request until it has an answer or its error is final.

    Yields the request for each attempt, and the pauses in between; receives the reply, or has the
    error of the attempt thrown into it.
    """
    retries, is_lost = 0, False
    most = policy.max_reconnects if request.is_long_poll else policy.max_retries
    while True:
        try:
            reply: Reply = yield request
        except TeamrunError as error:
            if is_lost and request.method == "DELETE" and isinstance(error, NotFoundError):
                # An attempt whose answer was lost has deleted it.
                return Reply(status=204, headers={}, content=b"")
            delay = policy.delay(error, retries)
            if request.is_probe or delay is None or retries >= most:
                raise
            is_lost = is_lost or _is_answer_lost(error)
        else:
            return reply
        yield Pause(delay)
        retries += 1


def _is_answer_lost(error: TeamrunError) -> bool:
    """Whether the request may have been executed although it failed."""
    if isinstance(error, TeamrunAPIError):
        return error.status in (502, 504)  # of a gateway
    return not isinstance(error, ServerUnreachableError)
