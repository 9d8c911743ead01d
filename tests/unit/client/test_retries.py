import pytest

from teamrun.client import APIConnectionError, RateLimitedError, RetryPolicy, ServerUnreachableError
from teamrun.client.calls import runs
from teamrun.client.errors import TeamrunAPIError
from teamrun.client.requests import Pause, Reply
from teamrun.client.retries import RETRIED_STATUSES, attempts

POLICY = RetryPolicy(first_delay=1, max_delay=8, max_retry_after=60)


def limited(retry_after: float | None) -> RateLimitedError:
    return RateLimitedError("m", status=429, code="x", retry_after=retry_after)


@pytest.mark.parametrize(("retries", "longest"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 8), (99, 8)])
def test_delays_double_up_to_the_longest_and_vary(retries: int, longest: float) -> None:
    delays = {POLICY.delay(APIConnectionError("m"), retries) for _ in range(50)}

    assert all(delay is not None and longest / 2 <= delay <= longest for delay in delays)
    assert len(delays) > 1


def test_the_server_is_not_asked_before_the_time_that_it_names() -> None:
    assert POLICY.delay(limited(30.0), 0) == 30
    assert POLICY.delay(limited(61.0), 0) is None
    assert (POLICY.delay(limited(0.0), 0) or 0) >= 0.5


@pytest.mark.parametrize("status", sorted({400, 404, 409, 422, 500, 501} | RETRIED_STATUSES))
def test_only_transient_statuses_are_retried(status: int) -> None:
    delay = POLICY.delay(TeamrunAPIError("m", status=status, code="x"), 0)

    assert (delay is not None) == (status in RETRIED_STATUSES)


def test_a_server_that_never_answered_may_be_final() -> None:
    once = RetryPolicy(retry_unreachable=False)

    assert once.delay(ServerUnreachableError("m"), 0) is None
    assert once.delay(APIConnectionError("m"), 0) is not None


@pytest.mark.parametrize(("is_long_poll", "sent"), [(False, 3), (True, 6)])
def test_a_long_poll_is_retried_as_often_as_a_stream(is_long_poll: bool, sent: int) -> None:
    policy = RetryPolicy(max_retries=2, max_reconnects=5)
    request = runs.poll_run("r", wait_seconds=9) if is_long_poll else runs.get_run("r")
    steps = attempts(request, policy)
    found = [next(steps)]

    with pytest.raises(APIConnectionError):
        while True:
            pause = steps.throw(APIConnectionError("lost"))
            assert isinstance(pause, Pause)
            found.append(next(steps))
    assert len(found) == sent


def test_attempts_pause_as_long_as_the_server_asks() -> None:
    request = runs.get_run("r")
    steps = attempts(request, POLICY)

    assert next(steps) is request
    assert steps.throw(limited(30.0)) == Pause(30.0)
    assert next(steps) is request
    with pytest.raises(StopIteration) as done:
        steps.send(Reply(200, {}, b"{}"))
    assert done.value.value == Reply(200, {}, b"{}")
