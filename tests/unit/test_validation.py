"""No text of pydantic reaches a user: every error has our wording and its location."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

import pytest
from annotated_types import Ge, Len, Lt, MultipleOf
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core.core_schema import ErrorType

from teamrun.validation import REQUIREMENTS, misfits


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Ge(1), Lt(9)] | None = None
    even: Annotated[int, MultipleOf(2)] = 2
    ratio: float = 0
    price: Decimal = Decimal(0)
    is_on: bool = False
    text: Annotated[str, StringConstraints(min_length=1, max_length=3)] = "x"
    kind: Literal["one", "two"] = "one"
    names: Annotated[tuple[str, ...], Len(1)] = ("x",)
    either: str | list[Inner] | None = None
    inner: Inner | None = None
    when: AwareDatetime | None = None
    day: datetime | None = None
    key: UUID | None = None
    by_name: dict[str, Inner] = {}


def refused(value: Any) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        Form.model_validate(value)
    return [(misfit.path, misfit.sentence("It")) for misfit in misfits(caught.value, value)]


def test_every_type_of_error_that_pydantic_has_is_in_the_table() -> None:
    assert set(get_args(ErrorType)) == {*REQUIREMENTS, "value_error", "assertion_error"}


CASES: list[tuple[Any, tuple[int | str, ...], str]] = [
        ({"count": "many"}, ("count",), "It must be a whole number, not a text."),
        ({"count": 1.5}, ("count",), "It must be a whole number, not a decimal number."),
        ({"count": 0}, ("count",), "It must be at least 1."),
        ({"count": 9}, ("count",), "It must be less than 9."),
        ({"even": 3}, ("even",), "It must be a multiple of 2."),
        ({"ratio": []}, ("ratio",), "It must be a number, not a list."),
        ({"price": "cheap"}, ("price",), "It must be a number, not a text."),
        ({"is_on": 7}, ("is_on",), "It must be true or false, not a whole number."),
        ({"text": True}, ("text",), "It must be a text, not true."),
        ({"text": ""}, ("text",), "It must not be empty."),
        ({"text": "long"}, ("text",), "It must have at most 3 characters."),
        ({"kind": "three"}, ("kind",), "It must be 'one' or 'two'."),
        ({"names": []}, ("names",), "It must not be empty."),
        ({"names": None}, ("names",), "It must be a list, not null."),
        ({"names": ["a", 5]}, ("names", 1), "It must be a text, not a whole number."),
        ({"either": 5}, ("either",), "It must be a text or a list, not a whole number."),
        ({"either": [{}]}, ("either", 0, "name"), "It is needed."),
        ({"inner": {"name": "x", "more": 1}}, ("inner", "more"), "It is not known."),
        ({"by_name": {"a/b": {"name": 1}}}, ("by_name", "a/b", "name"),
         "It must be a text, not a whole number."),
        ({"when": "2026-03-31T08:00:00"}, ("when",),
         "It must be a time with its offset from UTC, such as 2026-03-31T08:00:00Z."),
        ({"day": "soon"}, ("day",),
         "It must be a time of RFC 3339, such as 2026-03-31T08:00:00Z."),
        ({"key": "x"}, ("key",), "It must be a UUID."),
        ([], (), "It must be an object, not a list."),
]  # fmt: skip


@pytest.mark.parametrize(("value", "path", "sentence"), CASES)
def test_a_fault_has_the_place_in_the_value_and_our_words(
    value: Any, path: tuple[int | str, ...], sentence: str
) -> None:
    assert refused(value) == [(path, sentence)]
