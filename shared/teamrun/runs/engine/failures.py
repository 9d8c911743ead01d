"""Which delivered failures ended run code, so that a retry can leave them out."""

from teamrun.runs.log.entries import CallRecord, ErrorRecord, Undo
from teamrun.runs.log.status import RequiredAction

__all__ = ["Failures"]


class Failures:
    """The failures of one execution, and what run code had done before the last of them."""

    def __init__(self) -> None:
        self._errors: dict[str, tuple[int, ErrorRecord]] = {}
        self._delivered = self._last = self._emitted = 0
        self.asked_before: dict[str, RequiredAction] = {}
        """The questions that were open before the last failure was delivered."""

    def delivering(
        self, call: CallRecord, *, emitted: int, asked: dict[str, RequiredAction], is_over: bool
    ) -> None:
        """Count a delivery.

        Args:
            call: What is delivered.
            emitted: How many events run code has emitted so far.
            asked: The questions that are open.
            is_over: Run code has ended.
        """
        self._delivered += 1
        if call.error is not None:
            self._errors[call.call_id] = (self._delivered, call.error)
            if not is_over:  # a retry returns to the state before this failure
                self._emitted, self.asked_before = emitted, dict(asked)

    def ended(self) -> None:
        """Note that the last delivery has ended run code."""
        self._last = self._delivered

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
            if nth >= self._last and known.message == error.message
        }
        if self._last not in failed:
            return None
        return Undo(calls=[*failed.values()], said=self._emitted)
