from typing import Any

import pytest

from teamrun_api.bodies import parse_body
from teamrun_api.faults import InvalidBody, InvalidJson
from teamrun_api.limits import MAX_DEPTH, MAX_NODES, check_shape
from teamrun_api.schemas import CancelRequest, ValidateRequest


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def test_a_body_may_be_as_deep_as_the_limit_and_no_deeper() -> None:
    check_shape(nested(MAX_DEPTH))
    with pytest.raises(InvalidJson):
        check_shape(nested(MAX_DEPTH + 1))


def test_objects_count_as_depth_too() -> None:
    with pytest.raises(InvalidJson):
        check_shape({"a": nested(MAX_DEPTH)})


def test_a_body_may_have_at_most_the_limit_of_values() -> None:
    check_shape([0] * (MAX_NODES - 1))
    with pytest.raises(InvalidJson):
        check_shape([0] * MAX_NODES)


BROKEN = {
    "nothing": b"",
    "half an object": b'{"team": ',
    "two values": b"{} {}",
    "not a number": b'{"team_spec": {"x": NaN}}',
    "infinity": b'{"team_spec": {"x": 1e999}}',
    "another encoding": '{"team": "é"}'.encode("latin-1"),
    "half a character": b'{"team": "\\ud800"}',
    "a bottomless pit": b'{"team_spec": ' + b"[" * 100_000,
    "an endless number": b'{"team_spec": {"x": ' + b"9" * 10_000 + b"}}",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_text_that_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidJson):
        parse_body(data, ValidateRequest)


@pytest.mark.parametrize("data", [b"[]", b'"x"', b"1", b"null"])
def test_json_that_is_no_object_is_an_invalid_body(data: bytes) -> None:
    with pytest.raises(InvalidBody) as caught:
        parse_body(data, CancelRequest)
    assert not {word for word in ("dictionary", "instance") if word in str(caught.value)}


def test_a_field_that_is_unknown_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(InvalidBody) as caught:
        parse_body(b'{"raeson": "x"}', CancelRequest)
    (fault,) = caught.value.faults
    assert (fault.pointer, fault.code) == ("/raeson", "extra_forbidden")


def test_a_pointer_escapes_what_rfc_6901_reserves() -> None:
    with pytest.raises(InvalidBody) as caught:
        parse_body(b'{"a/b~c": 1}', CancelRequest)
    assert caught.value.faults[0].pointer == "/a~1b~0c"
