"""The order in which the calls of a profile start."""

import asyncio
import time
from collections.abc import Callable

import pytest

from teamrun.errors import DeliveryError
from teamrun.models.pacing.base import CallLimits, Demand, Share
from teamrun.models.pacing.local import LocalShares
from teamrun.models.pacing.pacer import Pacer
from teamrun.models.pacing.ramp import Ramp

BOUND_S = 10
ONE = CallLimits(max_concurrent_calls=1)


class Scripted:
    """Shares that a test sets; keeps the demands."""

    def __init__(self, places: int, *, starts_in_s: float = 0.0) -> None:
        self.places = places
        self.starts_in_s = starts_in_s
        self.is_away = False
        self.demands: list[Demand] = []
        self.asked = asyncio.Event()

    async def share(self, profile: str, limits: CallLimits, demand: Demand) -> Share:
        self.demands.append(demand)
        self.asked.set()
        if self.is_away:
            raise DeliveryError("away")
        await asyncio.sleep(0)
        return Share(self.places, 0.0, tuple(self.starts_in_s for _ in demand.costs), again_s=60.0)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND_S):
        while not condition():  # noqa: ASYNC110 - the pacer has no event for tests
            await asyncio.sleep(0)


async def test_without_limits_a_call_starts_at_once_and_nothing_is_asked() -> None:
    shares = Scripted(1)
    pacer = Pacer("main", shares=shares)

    await pacer.enter()
    pacer.leave()

    assert (pacer.active, shares.demands) == (0, [])


async def test_a_burst_without_limits_starts_with_a_few_calls_and_then_all() -> None:
    pacer = Pacer("main", shares=Scripted(0))
    calls = [asyncio.create_task(pacer.enter()) for _ in range(50)]

    await turns(5)
    assert (pacer.active, pacer.waiting) == (4, 46)
    async with asyncio.timeout(BOUND_S):
        await asyncio.gather(*calls)
    assert (pacer.active, pacer.waiting) == (50, 0)


async def test_two_answers_make_room_for_three_calls_of_a_burst() -> None:
    pacer = Pacer("main")
    calls = [asyncio.create_task(pacer.enter()) for _ in range(20)]
    await turns(5)

    for _ in range(4):
        pacer.leave()

    assert pacer.active == 6
    for call in calls:
        call.cancel()


async def test_a_burst_that_grows_with_its_answers_is_not_doubled() -> None:
    risen = asyncio.Event()
    ramp = Ramp(risen.set)

    ramp.rise()
    for _ in range(2):
        ramp.answered(full=True)
    async with asyncio.timeout(BOUND_S):
        await risen.wait()

    assert ramp.calls == 5


async def test_calls_start_in_their_order_those_of_batches_last_and_rejected_ones_first() -> None:
    pacer, order = Pacer("main", ONE), list[str]()

    async def call(name: str, *, is_batch: bool = False, is_first: bool = False) -> None:
        await pacer.enter(is_batch=is_batch, is_first=is_first)
        order.append(name)
        await asyncio.sleep(0)
        pacer.leave()

    await pacer.enter()
    waiting = [asyncio.create_task(call(name, is_batch=True)) for name in ("item 1", "item 2")]
    waiting += [asyncio.create_task(call(name)) for name in "abc"]
    await turns(5)
    waiting.append(asyncio.create_task(call("rejected", is_first=True)))
    waiting.append(asyncio.create_task(call("rejected item", is_batch=True, is_first=True)))
    await turns(5)
    assert order == []
    pacer.leave()
    async with asyncio.timeout(BOUND_S):
        await asyncio.gather(*waiting)

    assert order == ["rejected", "a", "b", "c", "rejected item", "item 1", "item 2"]
    assert (pacer.active, pacer.waiting) == (0, 0)


@pytest.mark.parametrize("is_let_in", [False, True])
async def test_a_call_that_is_cancelled_leaves_its_place_to_the_next(is_let_in: bool) -> None:
    pacer = Pacer("main", ONE)
    await pacer.enter()
    cancelled = asyncio.create_task(pacer.enter())
    following = asyncio.create_task(pacer.enter())
    await turns(5)

    if is_let_in:
        pacer.leave()  # lets it in, and it is cancelled before it knows
    cancelled.cancel()
    if not is_let_in:
        pacer.leave()
    async with asyncio.timeout(BOUND_S):
        await following

    assert cancelled.cancelled()
    assert (pacer.active, pacer.waiting) == (1, 0)
    pacer.leave()


async def test_a_rejection_stops_all_calls_until_its_pause_is_over() -> None:
    pacer = Pacer("main")
    await pacer.enter()
    await pacer.enter()

    pacer.reject(0.05, started_at=time.monotonic())
    call = asyncio.create_task(pacer.enter())
    await turns(20)
    assert not call.done()
    pacer.leave()
    async with asyncio.timeout(BOUND_S):
        await call

    assert (pacer.active, pacer.rejected) == (1, 1)
    pacer.leave()
    await pacer.close()


async def test_the_share_is_given_back_after_the_last_call() -> None:
    shares = Scripted(3)
    pacer = Pacer("main", ONE, shares)

    await pacer.enter()
    pacer.leave()
    await until(lambda: shares.demands[-1][1:3] == (0, 0))
    asked = len(shares.demands)
    await pacer.enter()

    assert pacer.active == 1
    assert len(shares.demands) > asked
    pacer.leave()
    await pacer.close()


async def test_start_times_that_are_far_ahead_are_enough() -> None:
    shares = Scripted(9, starts_in_s=30.0)
    pacer = Pacer("main", CallLimits(requests_per_minute=2), shares)
    calls = [asyncio.create_task(pacer.enter()) for _ in range(3)]
    await until(lambda: shares.demands[-1:] != [] and shares.demands[-1].costs != ())

    for _ in range(3):
        asked = len(shares.demands)
        pacer.engage()
        await until(lambda asked=asked: len(shares.demands) > asked)

    assert [demand.costs for demand in shares.demands[1:]] == [()] * 3
    for call in calls:
        call.cancel()
    await pacer.close()


def in_sum(shares: Scripted) -> tuple[int, int]:
    """Tokens and start times that were given and have not come back."""
    tokens = sum(sum(demand.costs) + demand.correction for demand in shares.demands)
    return tokens, sum(len(demand.costs) - demand.returned for demand in shares.demands)


async def test_calls_that_are_cancelled_while_they_wait_keep_no_tokens() -> None:
    shares = Scripted(10, starts_in_s=60.0)
    pacer = Pacer("main", CallLimits(tokens_per_minute=1_000), shares=shares)
    calls = [asyncio.create_task(pacer.enter(tokens=tokens)) for tokens in (100, 200, 400)]
    await until(lambda: in_sum(shares) == (100, 1))

    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    await until(lambda: in_sum(shares) == (0, 0))

    assert (pacer.waiting, pacer.active) == (0, 0)
    await pacer.close()


async def test_the_start_time_of_a_cancelled_call_goes_to_the_next_one() -> None:
    shares = Scripted(10, starts_in_s=0.05)
    pacer = Pacer("main", CallLimits(tokens_per_minute=1_000), shares=shares)
    first = asyncio.create_task(pacer.enter(tokens=100))
    second = asyncio.create_task(pacer.enter(tokens=5))
    await until(lambda: in_sum(shares) == (100, 1))

    first.cancel()
    async with asyncio.timeout(BOUND_S):
        await second
    await until(lambda: in_sum(shares) == (5, 1))

    pacer.leave()
    await pacer.close()
    assert in_sum(shares) == (5, 1)


async def test_a_call_that_is_cancelled_when_it_was_let_in_keeps_no_tokens() -> None:
    shares = Scripted(10)
    pacer = Pacer("main", CallLimits(tokens_per_minute=1_000), shares=shares)
    call = asyncio.create_task(pacer.enter(tokens=100))
    await until(lambda: pacer.active == 1)

    call.cancel()
    await asyncio.wait([call])
    await pacer.close()

    assert in_sum(shares)[0] == 0


async def test_start_times_that_come_too_late_are_given_back() -> None:
    shares = Scripted(10, starts_in_s=60.0)
    pacer = Pacer("main", CallLimits(tokens_per_minute=1_000), shares=shares)
    call = asyncio.create_task(pacer.enter(tokens=100))
    await shares.asked.wait()  # the answer is still on its way

    call.cancel()
    await asyncio.wait([call])

    await until(lambda: in_sum(shares) == (0, 0))
    await pacer.close()


async def test_a_place_that_another_process_needs_is_not_used_again() -> None:
    shares = Scripted(2)
    pacer = Pacer("main", ONE, shares)
    await pacer.enter()
    await pacer.enter()
    waiting = asyncio.create_task(pacer.enter())
    await until(lambda: shares.demands[-1].waiting == 1)

    shares.places = 1
    pacer.engage()
    asked = len(shares.demands)
    await until(lambda: len(shares.demands) > asked)
    await turns(5)
    pacer.leave()
    await turns(5)
    assert (pacer.active, waiting.done()) == (1, False)
    pacer.leave()
    async with asyncio.timeout(BOUND_S):
        await waiting
    pacer.leave()
    await pacer.close()


async def test_without_the_shared_state_the_process_keeps_the_limits_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shares = Scripted(5)
    shares.is_away = True
    pacer = Pacer("main", ONE, shares)

    await pacer.enter()
    second = asyncio.create_task(pacer.enter())
    await turns(20)
    assert not second.done()
    pacer.leave()
    async with asyncio.timeout(BOUND_S):
        await second
    pacer.leave()
    await until(lambda: pacer.waiting == 0)

    actions = [getattr(record, "action", None) for record in caplog.records]
    assert actions == ["model.limits_not_shared"]
    assert len(shares.demands) == 1
    await pacer.close()


async def test_a_pacer_serves_one_event_loop_after_another() -> None:
    pacer = Pacer("main", ONE, LocalShares())

    async def two() -> None:
        await pacer.enter()
        second = asyncio.create_task(pacer.enter())
        await turns(5)
        pacer.leave()
        await second
        pacer.leave()

    for _ in range(2):
        await asyncio.to_thread(asyncio.run, two())

    assert (pacer.active, pacer.waiting) == (0, 0)
