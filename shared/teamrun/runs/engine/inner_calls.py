"""Calls that were made inside the recorded or interrupted turns of custom agents."""

from teamrun.runs.log.entries import CallRecord

__all__ = ["InnerCalls"]


class InnerCalls:
    """The inner calls of one execution.

    A turn that was interrupted reuses them, so that only the missing calls are made and paid for.
    """

    def __init__(self, made: dict[str, int] | None = None) -> None:
        self._open: dict[str, list[CallRecord]] = {}
        self.made_by_path: dict[str, int] = made or {}
        """The number of calls in the recorded turns of each agent."""

    def of(self, call_id: str) -> list[CallRecord]:
        """The recorded calls inside a turn without a record, by the id of the turn's call."""
        return self._open.get(call_id, [])

    def made(self, path: str) -> int:
        """The number of calls in an agent's recorded turns; the next turn numbers from there."""
        return self.made_by_path.get(path, 0)

    def record(self, call: CallRecord) -> None:
        """Count a call inside a turn, or conclude a turn."""
        if call.within is not None:
            self._open.setdefault(call.within, []).append(call)
            return
        path, made = call.call_id.rpartition("/")[0], self._open.pop(call.call_id, ())
        self.made_by_path[path] = self.made(path) + len(made)
