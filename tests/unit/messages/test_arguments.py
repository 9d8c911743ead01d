"""Arguments of tool calls: passed to tools, and sent to servers."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from teamrun.messages.arguments import read_arguments, sendable_arguments

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(categories=["L", "N", "Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def lenient(value: Any) -> Any:
    """The value with floats that JSON does not have as pydantic reads them from text."""
    match value:
        case float():
            return repr(value) if math.isfinite(value) else json.dumps(value)
        case list():
            return [lenient(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case dict():
            return {key: lenient(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_a_tool_gets_the_arguments_that_a_server_is_sent(arguments: dict[str, Any]) -> None:
    text = json.dumps(arguments)
    sent = sendable_arguments(text)
    assert sent is not None
    sent.encode()
    assert lenient(from_json(sent, allow_inf_nan=False)) == lenient(read_arguments(text))


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_a_text_that_no_tool_gets_is_not_sent(text: str) -> None:
    try:
        read_arguments(text)
    except ValueError:
        assert sendable_arguments(text) is None


@pytest.mark.parametrize("depth", [50, 150, 300])
def test_depth_alone_does_not_keep_arguments_from_a_tool(depth: int) -> None:
    text = f'{{"a": {"[" * depth}{"]" * depth}}}'
    assert read_arguments(text)
    assert (sendable_arguments(text) is None) == (depth > 200)


@pytest.mark.parametrize("text", ["[1]", "x", '{"a": 1', "null", "{" * 100_000, "[" * 100_000])
def test_arguments_that_are_no_object_are_neither_read_nor_sent(text: str) -> None:
    with pytest.raises(ValueError):
        read_arguments(text)
    assert sendable_arguments(text) is None
