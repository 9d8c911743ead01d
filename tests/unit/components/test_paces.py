"""The limits of a model's server in the operator's file."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from teamrun.components.definitions.profiles import NO_PACE, Pace
from teamrun.components.reading.problems import Problems
from teamrun.components.reading.profiles import read_profiles
from teamrun.models.pacing.base import CallLimits

ENVIRON = {"CALLS": "7"}


def read(**options: Any) -> tuple[Pace | None, list[tuple[str, str]], str]:
    """The pace, the faults, and the digest's content."""
    problems = Problems()
    profile = {"model": "gpt-4o", "api_key": "k", **options}
    found = read_profiles({"main": profile}, "/models", problems, folder=Path(), environ=ENVIRON)[
        "main"
    ]
    faults = [(problem.pointer, problem.code) for problem in problems.found]
    return (None, faults, "") if found is None else (found.pace, faults, str(found.content()))


def test_a_profile_has_no_limits_by_default() -> None:
    assert read()[:2] == (NO_PACE, [])


def test_limits_are_numbers_or_variables_and_no_part_of_the_digest() -> None:
    pace, faults, content = read(
        max_concurrent_calls="${CALLS}",
        requests_per_minute="${UNSET:-500}",
        tokens_per_minute=90_000,
        rate_limit_timeout="2.5",
    )

    limits = CallLimits(max_concurrent_calls=7, requests_per_minute=500, tokens_per_minute=90_000)
    assert (pace, faults) == (Pace(limits, timedelta(seconds=2.5)), [])
    assert content == read()[2]


def test_an_empty_variable_is_no_limit() -> None:
    assert read(max_concurrent_calls="${UNSET:-}")[:2] == (NO_PACE, [])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_concurrent_calls", 0),
        ("max_concurrent_calls", "${UNSET}"),
        ("max_concurrent_calls", 2.5),
        ("requests_per_minute", "many"),
        ("requests_per_minute", -1),
        ("tokens_per_minute", True),
        ("rate_limit_timeout", -0.1),
        ("rate_limit_timeout", float("inf")),
    ],
)
def test_a_limit_that_cannot_be_read_is_a_fault_at_its_place(field: str, value: Any) -> None:
    pace, faults, _ = read(**{field: value})

    assert pace is None
    assert faults == [(f"/models/main/{field}", "invalid_definition")]
