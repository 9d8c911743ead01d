"""Start times of calls under a number of requests or tokens per minute."""

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from teamrun.models.pacing.base import CallLimits, Demand, Rejection, Share
from teamrun.models.pacing.local import LocalShares
from teamrun.models.pacing.rate import Rate

PER_MINUTE = st.integers(1, 5_000)


def starts_of(rate: Rate, asked_at: list[float]) -> list[float]:
    starts: list[float] = []
    for now in asked_at:
        starts.append(rate.start(now))
        rate.take(starts[-1], 1)
    return starts


@given(PER_MINUTE, st.lists(st.floats(0, 200), min_size=1, max_size=400))
def test_no_minute_has_more_calls_than_the_limit(per_minute: int, asked_at: list[float]) -> None:
    starts = starts_of(Rate.of(per_minute), sorted(asked_at))

    for index, start in enumerate(starts):
        within = bisect_left(starts, start + 60 - 1e-6) - index
        assert within <= per_minute


@given(st.integers(30, 5_000))
def test_calls_that_wait_use_nearly_all_of_the_limit(per_minute: int) -> None:
    starts = starts_of(Rate.of(per_minute), [0.0] * per_minute * 3)

    assert starts[-1] <= 60 * 3 * 30 / 29 + 1


def test_without_a_limit_calls_start_at_once() -> None:
    assert starts_of(Rate.of(None), [5.0] * 3) == [5.0] * 3


def test_a_call_of_more_tokens_than_the_limit_starts_and_delays_the_next() -> None:
    rate = Rate.of(60)
    starts = starts_of(rate, [0.0] * 5)
    rate.take(rate.start(0.0), 600)

    assert starts[:2] == [0.0] * 2 < starts[2:4]
    assert rate.start(0.0) > 600


async def shared(shares: LocalShares, limits: CallLimits, **demand: object) -> Share:
    given = {"active": 0, "waiting": 1, **demand}
    return await shares.share("main", limits, Demand("me", **given))  # pyright: ignore[reportArgumentType] - fields of Demand


async def test_start_times_are_given_for_a_second_and_the_next_call() -> None:
    shares = LocalShares(clock=lambda: 100.0)
    limits = CallLimits(requests_per_minute=60)

    first = await shared(shares, limits, waiting=20, costs=(0,) * 20)
    second = await shared(shares, limits, waiting=20, costs=(0,) * 20)

    assert first.starts_in_s == (0.0, 0.0)
    assert len(second.starts_in_s) == 1 and second.starts_in_s[0] > 1


async def test_tokens_that_were_not_used_are_given_back() -> None:
    shares = LocalShares(clock=lambda: 100.0)
    limits = CallLimits(tokens_per_minute=1200)

    [start] = (await shared(shares, limits, costs=(1200,))).starts_in_s
    [late] = (await shared(shares, limits, costs=(0,))).starts_in_s
    [early] = (await shared(shares, limits, costs=(0,), correction=-1200)).starts_in_s

    assert start == early == 0.0
    assert late > 50


async def test_start_times_are_after_a_pause() -> None:
    shares = LocalShares(clock=lambda: 100.0)
    rejection = Rejection(pause_s=7.0, age_s=0.1)

    share = await shared(
        shares, CallLimits(requests_per_minute=60), costs=(0,), rejection=rejection
    )

    assert (share.pause_s, share.starts_in_s) == (7.0, (7.0,))
