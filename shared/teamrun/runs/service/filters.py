"""Which runs a list contains."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from teamrun.runs.log.spec import RunSpec
from teamrun.runs.log.state import RunState

__all__ = ["RunFilter"]


class RunFilter(NamedTuple):
    """Which runs a list contains."""

    status: str | None = None
    team: str | None = None
    tag: str | None = None
    metadata: Mapping[str, str] = {}
    created_after: datetime | None = None
    created_before: datetime | None = None

    def takes(self, state: RunState) -> bool:
        """Whether the run belongs in the list."""
        return self.status in (None, state.status) and self.takes_spec(state.spec)

    def takes_spec(self, spec: RunSpec) -> bool:
        """Whether a run with this specification may belong in the list, depending on its status."""
        return (
            self.team in (None, spec.team.name)
            and (self.tag is None or self.tag in spec.tags)
            and self.metadata.items() <= spec.metadata.items()
            and (self.created_after is None or spec.created_at > self.created_after)
            and (self.created_before is None or spec.created_at < self.created_before)
        )

    @property
    def has_spec(self) -> bool:
        """Whether the filter depends on more of the specification than its time."""
        return bool(self.team is not None or self.tag is not None or self.metadata)

    @property
    def takes_unreadable(self) -> bool:
        """Whether unreadable runs belong in the list; their status is all that is known."""
        return self._replace(status=None) == RunFilter() and self.status in (None, "unreadable")
