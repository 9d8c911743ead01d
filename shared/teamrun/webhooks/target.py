"""Where events are sent: the webhook of a run, or a registered endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from teamrun.runs.log.webhook import Format, Payload, matches

__all__ = ["OWN", "DisabledBecause", "Target"]

OWN = "own"
"""The id of the webhook that a run names in its request."""

DisabledBecause = Literal["client", "gone", "failing"]
"""`client`: by a request. `gone`: the receiver answered 410. `failing`: every request has failed
for five days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A receiver of events."""

    tenant: str
    id: str
    """`OWN`, or the id of an endpoint; the record of its deliveries is named after it."""
    url: str
    events: Sequence[str]
    secrets: Sequence[str] = field(repr=False)
    """Each request is signed with all of them; two during a rotation."""
    payload: Payload = "full"
    format: Format = "standard"
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    since: datetime | None = None
    """When it was registered: it gets no events from before, unless they are asked for."""
    answered_at: datetime | None = None
    """When it last accepted a test."""
    is_disabled: bool = False
    """Whether events are only recorded as skipped."""

    def wants(self, event_type: str, at: datetime, as_of: datetime | None) -> bool:
        """Whether it is sent an event.

        Args:
            event_type: The type.
            at: The time, by the clock of the process that logged it.
            as_of: The newest change of the endpoints that was known when the log was accepted. It
                is compared, too, because the clocks of two processes differ.
        """
        if not matches(self.events, event_type):
            return False
        return self.since is None or self.since <= at or (as_of is not None and self.since <= as_of)
