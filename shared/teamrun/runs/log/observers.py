"""What follows each entry that a process appends, as one list.

All that the parts of a process append is observed in the same way, whether the service, the engine
or the reaper wrote it. Observers only report: a crash between an entry and its observers loses
their calls. What has to follow the end of a run for certain is a duty (`archive.py`).
"""

import logging
from collections.abc import Sequence

from teamrun.core.refs import RunRef
from teamrun.live.base import Live
from teamrun.runs.log.announcer import Notices
from teamrun.runs.log.entries import Entry
from teamrun.runs.log.log import LogObserver, PreCommit, PreErase
from teamrun.runs.log.metrics import RunMetrics
from teamrun.runs.log.state import RunState

__all__ = ["Observers", "warn_of_failure"]

logger = logging.getLogger(__name__)


class Observers:
    """The observers of one process.

    Args:
        live: Receives the notices.
        further: Observers besides the usual ones; they are called last.
        pre_commit: Called before each entry; they store what must not be lost in a crash.
        pre_erase: Called before a run is deleted.
        views: Whether the states of runs are shared; see `Notices`.
    """

    def __init__(
        self,
        live: Live,
        *further: LogObserver,
        pre_commit: Sequence[PreCommit] = (),
        pre_erase: Sequence[PreErase] = (),
        views: bool = True,
    ) -> None:
        self.pre_commit = pre_commit
        self.pre_erase = pre_erase
        self.notices = Notices(live, views=views)
        self.metrics = RunMetrics()
        self.rows: tuple[LogObserver, ...] = (
            self.notices.appended,
            self.metrics.appended,
            warn_of_failure,
            *further,
        )
        """In the order in which they are called."""


def warn_of_failure(ref: RunRef, entry: Entry, state: RunState | None) -> None:
    """Log that a run has failed."""
    end = None if state is None else state.end
    if end is not None and end.status == "failed":
        logger.warning(
            "A run failed",
            extra={
                "action": "engine.run_failed",
                **ref.log_fields(),
                "code": end.stop_code,
                "error": end.error and end.error.type,
                "agent": end.error and end.error.agent,
            },
        )
