"""The bodies of messages in the queues of the clouds."""

import json

import pytest

from teamrun.core.refs import RunRef
from teamrun.dispatch.message import decode_refs, encode_refs

REFS = [RunRef("acme", "run_1"), RunRef("default", "run_2-17")]


def test_a_body_is_a_json_list_of_references() -> None:
    body = encode_refs(REFS)
    assert json.loads(body) == ["acme.run_1", "default.run_2-17"]
    assert decode_refs(body) == REFS
    assert decode_refs(body.encode()) == REFS


def test_a_reference_that_a_body_repeats_counts_once() -> None:
    assert decode_refs(encode_refs([*REFS, *REFS])) == REFS


@pytest.mark.parametrize(
    "body",
    [
        "",
        "acme.run_1",
        "[]",
        "{}",
        "null",
        '"acme.run_1"',
        "[7]",
        "[null]",
        '[["acme.run_1"]]',
        '["acme"]',
        '["acme.run/1"]',
        '["a.b.c"]',
        "[" * 50_000,
        '["acme.' + "x" * 100_000 + '"]',
        b"\xff",
        '["default.\\ud800"]',
        '["default.run_\\u0000"]',
        '["default.a\\nb"]',
        '["def ault.run_1"]',
        '["default.run_' + "a" * 3000 + '"]',
        '["default.run_1-x"]',
        json.dumps([f"default.run_{n}" for n in range(101)]),
    ],
)
def test_another_body_is_an_error(body: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"message|tenant\.run_id|JSON|Expecting|decode"):
        decode_refs(body)
