"""Retries of model calls."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamrun.core.retry_after import retry_after
from teamrun.errors import ModelError
from teamrun.models.attempts import on_retry
from teamrun.models.retry import Retries, RetryPolicy
from teamrun.testing import FakeClock

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PLAIN = RetryPolicy(jitter=0)


def passing(**data: float) -> ModelError:
    return ModelError("busy", status_code=503, retryable=True, **data)


def seconds(policy: RetryPolicy, attempts: int, error: ModelError) -> float | None:
    delay = policy.delay(attempts, error, elapsed=timedelta())
    return None if delay is None else delay.total_seconds()


def test_waits_double_up_to_the_longest() -> None:
    policy = RetryPolicy(jitter=0, max_retries=99, max_delay=timedelta(seconds=5))
    assert [seconds(policy, n, passing()) for n in (1, 2, 3, 4, 5, 99)] == [0.5, 1, 2, 4, 5, 5]


def test_the_servers_delay_replaces_ours() -> None:
    assert seconds(PLAIN, 1, passing(retry_after=40.0)) == 40
    assert seconds(PLAIN, 1, passing(retry_after=0.01)) == 0.01


def test_a_server_that_requests_no_pause_gets_the_usual_one() -> None:
    waits = [seconds(PLAIN, attempt, passing(retry_after=0.0)) for attempt in (1, 2, 3)]
    assert waits == [0.5, 1, 2]


def test_jitter_never_shortens_what_the_server_asked_for() -> None:
    waits = [seconds(RetryPolicy(), 1, passing(retry_after=10.0)) for _ in range(50)]
    assert all(wait is not None and 10 <= wait <= 12.5 for wait in waits)
    assert len(set(waits)) > 1


def test_attempts_time_and_permanent_errors_end_retries() -> None:
    assert seconds(PLAIN, 5, passing()) is not None
    assert seconds(PLAIN, 6, passing()) is None
    assert PLAIN.delay(1, passing(), elapsed=timedelta(minutes=5)) is None
    assert seconds(PLAIN, 1, passing(retry_after=301.0)) is None
    assert seconds(PLAIN, 1, ModelError("no", status_code=400)) is None


@pytest.mark.behaviour("model.openai.retries")
async def test_each_retry_is_reported_before_its_wait_and_the_last_failure_is_raised() -> None:
    told: list[tuple[int, timedelta, ModelError]] = []
    clock = FakeClock()
    errors = [passing() for _ in range(3)]
    on_retry.set(lambda attempt, delay, error: told.append((attempt, delay, error)))
    retries = Retries(RetryPolicy(max_retries=2, jitter=0), clock)
    with pytest.raises(ModelError) as raised:
        for error in errors:
            await retries.wait(error)
    assert raised.value is errors[2]
    assert raised.value.data["attempts"] == 3
    assert told == [
        (1, timedelta(seconds=0.5), errors[0]),
        (2, timedelta(seconds=1), errors[1]),
    ]
    assert clock.sleeps == [0.5, 1]


async def test_the_time_that_attempts_take_counts_too() -> None:
    clock = FakeClock()
    retries = Retries(RetryPolicy(max_elapsed=timedelta(seconds=10), jitter=0), clock)
    clock.advance(timedelta(seconds=9.6))
    with pytest.raises(ModelError):
        await retries.wait(passing())
    assert clock.sleeps == []


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "20", "retry-after": "2"}, 0.02),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, 31_536_000.0),
        ({"retry-after": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:99999999999999999999 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 +99999999999999999999"}, None),
        ({"retry-after": "Wed, 21 Oct 0000 07:28:00 GMT"}, 0.0),
        ({"retry-after": ","}, None),
    ],
)
def test_the_wait_is_read_from_every_form_of_the_header(
    headers: dict[str, str], wait: float | None
) -> None:
    assert retry_after(headers, now=NOW) == wait


@given(st.text() | st.from_regex(r"\A\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [-+]?\w+\Z"))
def test_no_header_raises_an_error(text: str) -> None:
    for name in ("retry-after", "retry-after-ms"):
        wait = retry_after({name: text}, now=NOW)
        assert wait is None or 0 <= wait < float("inf")
