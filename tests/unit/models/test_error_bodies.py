"""Error bodies: words of any shape are found, keys in them are not repeated, and the size is bound.

The shapes that servers send are cases of the wire suite (`tests/contract/models`).
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamrun.models.error_bodies import is_error, read_error, tidy

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["error", "errors", "detail", "message", "code", "status", "loc", "msg", "type"]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
)
KEY = "sk-proj-abcdefgh12345678"


@given(JSON)
def test_a_body_of_any_shape_is_read(body: object) -> None:
    read = read_error(json.dumps(body).encode(), is_one=True)
    assert read.status is None or 400 <= read.status <= 599
    assert is_error({"error": body}) in (True, False)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_a_body_that_is_no_json_is_read(body: bytes | str) -> None:
    read_error(body)


@given(st.recursive(st.just("deep"), lambda inner: st.fixed_dictionaries({"error": inner})))
def test_words_are_found_within_errors_of_errors(body: object) -> None:
    assert read_error({"error": body}).words in ("deep", "")


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {KEY}.",
        f'{{"authorization": "Bearer {KEY}"}}',
        "Bearer abcdefgh12345678",
        "api_key=abcdefgh12345678&x=1",
        '"api-key": "abcdefgh12345678"',
        "AIzaabcdefgh12345678abcdefgh12345678",
        "AKIAABCDEFGH12345678",
        "ASIAABCDEFGH12345678",
        "token: eyJabcdefgh12345678.abcdefgh12345678.abcdefgh12345678",
        "own key abcdefgh12345678 that was sent",
    ],
)
def test_keys_are_not_repeated(text: str) -> None:
    assert "12345678" not in tidy(text, ["own key abcdefgh12345678"])


def test_words_without_keys_stay_as_they_are() -> None:
    text = "Invalid token: expected 'user' or 'assistant'. The API key is missing; see sk-docs."
    assert tidy(text) == text


@given(st.text(max_size=40), st.integers(0, 3_000))
def test_words_have_a_bound(text: str, times: int) -> None:
    assert len(tidy(text * times)) <= 1_000


def test_a_page_is_its_title_or_its_text() -> None:
    assert read_error("<html><title>502 Bad\nGateway</title><p>x").words == "502 Bad Gateway"
    assert read_error("<p>Log in</p> <b>first</b>").words == "Log in first"
