"""The frames of the test server, as botocore reads them."""

from typing import Any

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer, EventStreamMessage
from tests.support.converse_rules import faults_of
from tests.support.eventstream import corrupt, event, exception

CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"


def _headers(message: EventStreamMessage) -> dict[str, str]:
    headers: Any = message.headers  # typed as a number in botocore-stubs
    return headers


def test_frames_are_read_with_their_headers_and_payload() -> None:
    buffer = EventStreamBuffer()
    data = event("messageStop", {"stopReason": "end_turn"}) + exception("throttlingException", {})
    for byte in data:
        buffer.add_data(bytes([byte]))
    first, second = buffer.next(), buffer.next()
    assert _headers(first)[":event-type"] == "messageStop"
    assert first.payload == b'{"stopReason": "end_turn", "p": "abcdefgh"}'
    assert _headers(second)[":exception-type"] == "throttlingException"
    assert second.to_response_dict()["status_code"] == 400


def test_a_corrupt_frame_is_recognized() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(corrupt(event("messageStop", {"stopReason": "end_turn"})))
    with pytest.raises(ChecksumMismatch):
        buffer.next()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"messages": [], "colour": 1}, "colour is unknown"),
    ({"messages": [{"role": "user"}]}, "content is missing"),
    ({"messages": [{"role": "boss", "content": []}]}, "'boss'"),
    (
        {"messages": [{"role": "user", "content": [{"text": "a", "json": 1}]}]},
        "json is unknown",
    ),
    ({"messages": [], "inferenceConfig": {"temperature": 2}}, "temperature is 2"),
    ({"messages": [], "toolConfig": {"tools": [{"toolSpec": {"name": "a b"}}]}}, "match"),
    ({"messages": []}, "must start with a user message"),
    ({"messages": [{"role": "user", "content": [{"text": " "}]}]}, "is blank"),
    ({"messages": [{"role": "user", "content": [{"text": "a"}]}] * 2}, "alternate"),
]


@pytest.mark.parametrize(("body", "words"), WRONG)
def test_a_wrong_request_is_refused(body: dict[str, Any], words: str) -> None:
    assert words in "; ".join(faults_of(CLAUDE, body, streamed=False))
