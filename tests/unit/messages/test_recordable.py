import enum
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import from_json, to_json

from teamrun.errors import Unrecordable
from teamrun.messages.llm import CreateResult, FunctionCall, RequestUsage
from teamrun.messages.recordable import (
    MAX_DEPTH,
    MAX_ERROR_TEXT,
    MAX_SIZE,
    PairJoiner,
    encodable,
    exception_text,
    recordable,
    reportable,
)
from teamrun.messages.recordable_result import recordable_result

TEXT = st.text(st.characters())  # surrogates included
NUMBERS = st.integers() | st.floats() | st.integers(min_value=2**64, max_value=10**400)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXT | st.binary() | st.dates() | st.decimals()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(TEXT, inner),
)


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Shape(BaseModel):
    name: str
    sizes: list[float]


@dataclass
class Point:
    x: int
    label: str


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


@given(TEXT)
def test_every_text_becomes_one_that_utf_8_can_encode(text: str) -> None:
    mended = encodable(text)
    assert mended.encode().decode() == mended
    assert encodable(mended) is mended
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert mended is text


def test_a_pair_is_joined_and_a_half_is_replaced() -> None:
    assert encodable("a\ud83d\ude00b\ud83dc\ude00\udcff") == "a\U0001f600b\ufffdc\ufffd\ufffd"


@given(st.lists(TEXT))
def test_pieces_form_the_same_text_as_the_whole(pieces: list[str]) -> None:
    joiner = PairJoiner()
    shown = [*map(joiner.add, pieces), joiner.rest()]
    assert "".join(shown) == encodable("".join(pieces))
    assert all(encodable(piece) is piece for piece in shown)


@given(VALUES)
def test_every_value_becomes_json_that_comes_back_as_it_was_written(value: Any) -> None:
    kept = recordable(value)
    assert from_json(to_json(kept), allow_inf_nan=False) == kept
    assert recordable(kept, exact=True) == kept


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (math.nan, None),
        (-math.inf, None),
        (b"\xff", "\ufffd"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.50"), "1.50"),
        (Shape(name="\ud83d", sizes=[math.nan]), {"name": "\ufffd", "sizes": [None]}),
        (Point(1, "\ud83d"), {"x": 1, "label": "\ufffd"}),
        ({1}, [1]),
        (
            {1: "a", 1.5: "b", False: "c", None: "d"},
            {"1": "a", "1.5": "b", "false": "c", "null": "d"},
        ),
        (2**70, 2**70),
    ],
)
def test_values_that_are_no_json_get_a_json_form(value: Any, kept: Any) -> None:
    assert recordable(value) == kept


@pytest.mark.parametrize(
    "value",
    [
        object(),
        10**5000,
        nested(MAX_DEPTH + 1),
        "x" * (MAX_SIZE + 1),
        ["x" * (MAX_SIZE // 2)] * 3,
    ],
    ids=["object", "integer", "depth", "size", "sizes"],
)
def test_values_without_a_json_form_or_too_large_are_refused(value: Any) -> None:
    with pytest.raises(Unrecordable):
        recordable(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(Unrecordable):
        recordable(ring)


@pytest.mark.parametrize("value", [b"x", math.nan, math.inf, {1}, {(1, 2): 3}, Decimal(1)])
def test_an_exact_value_is_json_by_itself(value: Any) -> None:
    with pytest.raises(Unrecordable):
        recordable({"value": [value]}, exact=True)


def test_the_deepest_and_the_largest_values_are_kept() -> None:
    assert json.loads(to_json(recordable(nested(MAX_DEPTH)))) == nested(MAX_DEPTH)
    assert len(recordable("x" * (MAX_SIZE - 1))) == MAX_SIZE - 1


@given(st.dictionaries(TEXT, VALUES | st.builds(object)))
def test_the_data_of_an_event_can_always_be_written(data: dict[str, Any]) -> None:
    to_json(reportable(data), inf_nan_mode="constants")


def test_values_that_cannot_be_reported_are_omitted() -> None:
    reported = reportable({"percent": math.nan, "note": "half \ud83d", "what": object()})
    assert (reported["percent"], reported["note"]) == (None, "half \ufffd")
    assert reported["what"].startswith("[left out")


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no \ud83d"), "no \ufffd"),
        (ValueError(), "ValueError"),
        (Mute(), "Mute"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (BaseExceptionGroup("all", [SystemExit(1)]), "all (1 sub-exception)"),
    ],
)
def test_every_exception_has_a_text(error: BaseException, text: str) -> None:
    assert exception_text(error) == text


def test_the_text_of_an_exception_is_bounded() -> None:
    cut = exception_text(ValueError("x" * (MAX_ERROR_TEXT + 1)))
    assert len(cut) == MAX_ERROR_TEXT
    assert exception_text(ValueError(cut)) == cut


USAGE = RequestUsage(prompt_tokens=1, completion_tokens=1)


def answer(content: Any, **fields: Any) -> CreateResult:
    given: dict[str, Any] = {"finish_reason": "stop", "usage": USAGE, **fields}
    return CreateResult.model_construct(content=content, **given)


@pytest.mark.parametrize(
    "result",
    [
        answer("plain"),
        answer("na\u00efve \U0001f600", thought="hm", model="m"),
        answer([FunctionCall(id="1", arguments="{}", name="f")]),
    ],
)
def test_a_sound_answer_is_kept_as_it_is(result: CreateResult) -> None:
    assert recordable_result(result) is result


@given(TEXT, TEXT, TEXT)
def test_every_answer_can_be_written_and_read_back(text: str, more: str, name: str) -> None:
    calls = [FunctionCall(id=text, arguments=more, name=name)]
    logprobs = [{"token": text, "logprob": -math.inf}]
    for content in (text, calls):
        kept = recordable_result(answer(content, thought=more, model=name, logprobs=logprobs))
        assert CreateResult.model_validate(from_json(to_json(kept))) == kept


def test_token_counts_that_are_none_do_not_cost_the_answer() -> None:
    usage: Any = RequestUsage(prompt_tokens=None, completion_tokens=-1)  # pyright: ignore[reportArgumentType] - a client of one's own
    kept = recordable_result(answer("x", usage=usage))
    assert (kept.content, kept.usage) == ("x", RequestUsage(prompt_tokens=0, completion_tokens=0))


@pytest.mark.parametrize("usage", [None, 7, "many", {}])
@pytest.mark.parametrize("cached", [None, False, True])
def test_an_answer_without_statistics_is_kept(usage: Any, cached: Any) -> None:
    result = CreateResult.model_construct(
        finish_reason="stop", content="x", usage=usage, cached=cached
    )
    kept = recordable_result(result)
    assert (kept.content, kept.cached) == ("x", bool(cached))
    assert kept.usage == RequestUsage(prompt_tokens=0, completion_tokens=0)


@pytest.mark.parametrize(
    "result",
    [
        "text",
        None,
        answer(None),
        answer("x", finish_reason="bored"),
        answer("x", finish_reason=["stop"]),
        answer([FunctionCall(id="1", arguments={"a": 1}, name="f")]),  # pyright: ignore[reportArgumentType] - a client of one's own
        answer("x" * (MAX_SIZE + 1)),
    ],
    ids=["text", "none", "no content", "finish reason", "no text", "arguments", "size"],
)
def test_an_invalid_answer_is_refused(result: Any) -> None:
    with pytest.raises(Unrecordable):
        recordable_result(result)
