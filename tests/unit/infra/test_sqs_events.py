"""Events of SQS as they should not be: a record that is none does not concern the others."""

import logging
from typing import Any

import pytest

from teamrun.core.refs import RunRef
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
