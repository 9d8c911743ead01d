"""Which delivered failures ended run code, so that a retry can leave them out."""

from teamrun.runs.log.entries import ErrorRecord, Undo
from teamrun.runs.log.status import RequiredAction

__all__ = ["Failures"]


class Failures:
    """The failures of one execution, and what run code had done before the last of them."""

    def __init__(self) -> None:
        self._errors: dict[str, tuple[int, ErrorRecord]] = {}
        self.delivered = 0
        """The number of outcomes that have been delivered."""
        self.last = 0
        """The number of the one that ended run code."""
        self.emitted = 0
        """How many events run code had emitted before the last failure was delivered to it."""
        self.asked_before: dict[str, RequiredAction] = {}
        """The questions that were open then."""

    def add(self, call_id: str, error: ErrorRecord) -> None:
        """Note that the last delivery was a failure."""
        self._errors[call_id] = (self.delivered, error)

    def undo(self, error: ErrorRecord) -> Undo | None:
        """The calls that a retry leaves out: those whose failure ended run code.

        They have the message of `error`, and were delivered last or after run code had ended. Run
        code has handled an earlier failure with the same message, and the log has what followed.
        If the retry left that one out too, the replay would diverge from the log.

        Returns:
            None if the last delivery was no such failure: run code failed by itself, and a retry
            would fail in the same way.
        """
        failed = {
            nth: call_id
            for call_id, (nth, known) in self._errors.items()
            if nth >= self.last and known.message == error.message
        }
        if self.last not in failed:
            return None
        return Undo(calls=[*failed.values()], said=self.emitted)
