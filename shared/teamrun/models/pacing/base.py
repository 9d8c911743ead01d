"""The seam of the pace: a process states its demand for a model profile and receives its share.

Above it: `pacer.py`, which lets the calls of one process start. Below it: `local.py`, for a process
on its own, and `RedisLive`, which divides the limits among all processes of a deployment.
"""

from typing import NamedTuple, Protocol

__all__ = ["PACE_TOPIC", "CallLimits", "Demand", "Rejection", "Share", "Shares"]

PACE_TOPIC = "pace"
"""The topic on which the name of a profile is published when its server has rejected a call."""


class CallLimits(NamedTuple):
    """The limits of a model's server, over all processes of a deployment; None: not known."""

    max_concurrent_calls: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    """Prompt and completion tokens."""

    @property
    def has_any(self) -> bool:
        """Whether there is a limit."""
        return (self.max_concurrent_calls, self.requests_per_minute, self.tokens_per_minute) != (
            None,
            None,
            None,
        )

    @property
    def has_rate(self) -> bool:
        """Whether calls need a start time."""
        return self.requests_per_minute is not None or self.tokens_per_minute is not None


class Rejection(NamedTuple):
    """An answer 429: the server takes no call for now."""

    pause_s: float
    """The time for which no call of the profile starts."""
    age_s: float
    """How long ago the call started."""


class Demand(NamedTuple):
    """The calls of one profile in one process."""

    member: str
    """The process."""
    active: int
    """The number of calls in flight."""
    waiting: int
    """The number of calls that wait to start."""
    costs: tuple[int, ...] = ()
    """The estimated tokens of the next calls, which need a start time."""
    answered: int = 0
    """The number of calls that the server has answered since the last demand."""
    correction: int = 0
    """Tokens that calls have used in addition to their estimates; negative if they used less."""
    rejection: Rejection | None = None
    returned: int = 0
    """The number of start times that no call has used, because it was cancelled while it waited."""


class Share(NamedTuple):
    """The part of a profile's limits that a process may use."""

    places: int
    """The number of calls that it may have in flight."""
    pause_s: float
    """The time for which no call starts."""
    starts_in_s: tuple[float, ...]
    """When the next calls may start, in their order; can be fewer than there are costs."""
    again_s: float
    """When to ask again, unless the demand changes earlier."""
    is_free: bool = False
    """No limit is known any more, so that calls can start without asking."""


class Shares(Protocol):
    """Divides the limits of model profiles."""

    async def share(self, profile: str, limits: CallLimits, demand: Demand) -> Share:
        """The share of one process; a demand without calls gives the share back.

        Raises:
            DeliveryError: The server cannot be reached; the caller continues on its own.
        """
        ...
