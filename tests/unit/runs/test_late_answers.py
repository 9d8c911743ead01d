"""Answers that arrive after run code has ended."""

from datetime import UTC, datetime

from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.loop import RunLoop
from teamrun.runs.engine.origin import RunOrigin
from teamrun.runs.engine.protocol import PendingCall
from teamrun.runs.log.entries import Signal


def test_a_question_that_was_answered_after_the_end_of_run_code_is_open_no_longer() -> None:
    origin = RunOrigin("00" * 16, datetime(2026, 1, 1, tzinfo=UTC))
    journal = Journal(RunLoop(), origin)
    for call_id in ("a/input:0", "b/input:0"):
        journal.pending[call_id] = PendingCall(call_id, "input", "input", "a", 0, None)
    journal.is_over = True

    answer = journal.receive(Signal(signal="input", action_id="b/input:0", decision="answer"))

    assert answer is None  # run code does not receive it
    assert set(journal.open_calls()) == {"a/input:0"}
    journal.close()
