"""Events of SQS as they should not be: a record that is none does not concern the others."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import RUN_QUEUES, Queue
from teamrun.errors import UsageError
from teamrun_infra.aws.executing import Message, messages_of

QUEUE = "arn:aws:sqs:eu-central-1:1:teamrun-interactive"
GOOD: dict[str, Any] = {
    "messageId": "m1",
    "receiptHandle": "r1",
    "eventSourceARN": QUEUE,
    "attributes": {"SenderId": "AIDA"},
    "body": '["default.run_1"]',
}
WITHOUT = [{name: GOOD[name] for name in GOOD if name != left} for left in GOOD]


@pytest.mark.parametrize(
    "record",
    [
        None,
        "x",
        [],
        *(record for record in WITHOUT if "attributes" in record),
        *({**GOOD, "body": body} for body in (None, 3, {"a": 1}, "", "x", "\ud800")),
        {**GOOD, "body": '["default.\\ud800"]'},
        {**GOOD, "eventSourceARN": None},
        {**GOOD, "body": "x", "attributes": None},
    ],
)
def test_a_malformed_record_is_dropped_and_the_others_count(
    record: Any, caplog: pytest.LogCaptureFixture
) -> None:
    expected = Message("m1", "r1", "teamrun-interactive", (RunRef("default", "run_1"),))
    assert messages_of({"Records": [record, GOOD]}) == [expected]
    (line,) = caplog.records
    assert line.__dict__["action"] == "function.message_malformed"
    assert line.levelno == logging.ERROR


@pytest.mark.parametrize("event", [None, {}, [], "x", {"Records": None}, {"Records": {}}])
def test_an_event_that_is_none_of_sqs_has_a_clear_error(event: Any) -> None:
    with pytest.raises(UsageError, match="event source mapping"):
        messages_of(event)


@pytest.mark.parametrize("name", ["teamrun-other", "teamrun-hooks", "interactive.fifo", "x"])
def test_a_message_of_an_unknown_queue_counts_and_is_reported(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    record = {**GOOD, "eventSourceARN": f"arn:aws:sqs:eu-central-1:1:{name}"}
    (message,) = messages_of({"Records": [record]})
    assert message.runs_on() is Queue.INTERACTIVE
    (line,) = caplog.records
    assert (line.__dict__["action"], line.__dict__["queue"]) == ("function.queue_unknown", name)


@pytest.mark.parametrize("queue", RUN_QUEUES)
def test_a_new_message_goes_to_the_queue_of_the_old_one(queue: Queue) -> None:
    assert Message("m1", "r1", f"my-team-run-{queue}").runs_on() is queue


@pytest.mark.parametrize(
    ("waited_ms", "pause_s", "expected_s"),
    [
        (0, 0.25, 0.25),
        (1_000, 0.25, 2),
        (20_000, 1, 40),
        (20_000, 600, 600),  # another instance has the run until then
        (900_000, 1, 60),
        (20_000, 0, 0),  # the run was refused: the next instance can have it at once
        (-5_000, 1, 1),  # clocks of SQS
    ],
)
def test_the_delay_of_a_message_grows_with_each_attempt(
    waited_ms: int, pause_s: float, expected_s: float
) -> None:
    times = {"SentTimestamp": "1790000000000"}
    times["ApproximateFirstReceiveTimestamp"] = str(1790000000000 + waited_ms)
    (message,) = messages_of({"Records": [{**GOOD, "attributes": times}]})
    assert message.delay(timedelta(seconds=pause_s)) == timedelta(seconds=expected_s)


@pytest.mark.parametrize("sent", [None, "", "x", "1e3", 3, "9" * 400, "9" * 5000])
def test_a_message_without_usable_times_has_not_waited(sent: object) -> None:
    times = {"SentTimestamp": sent, "ApproximateFirstReceiveTimestamp": "1790000000000"}
    (message,) = messages_of({"Records": [{**GOOD, "attributes": times}]})
    assert message.delay(timedelta(seconds=1)) in (timedelta(seconds=1), timedelta(minutes=1))
