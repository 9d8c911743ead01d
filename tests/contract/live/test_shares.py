"""Requirements of the division of limits, in one process or in Valkey."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.support.services import Valkey

from teamrun.live.base import Live
from teamrun.live.open import open_live
from teamrun.live.pace import follow_pace
from teamrun.live.redis import RedisLive
from teamrun.models.pacing.base import PACE_TOPIC, CallLimits, Demand, Rejection, Share
from teamrun.models.pacing.local import NO_LIMIT
from teamrun.models.pacing.pacing import Pacing

FOUR = CallLimits(max_concurrent_calls=4)
NONE = CallLimits()
ONE = CallLimits(max_concurrent_calls=1)
BOUND_S = 20
valkey_only = pytest.mark.integration


@pytest.fixture(params=["memory", pytest.param("valkey", marks=valkey_only)])
async def live(request: pytest.FixtureRequest) -> AsyncGenerator[Live]:
    """Empty state of each kind."""
    url = None
    if request.param == "valkey":
        url = request.getfixturevalue("valkey_server").url
    opened = open_live(url)
    yield opened
    await opened.close()


async def ask(live: Live, member: str = "a", limits: CallLimits = FOUR, **demand: Any) -> Share:
    given: dict[str, Any] = {"active": 0, "waiting": 0, **demand}
    return await live.share("main", limits, Demand(member, **given))


async def places(live: Live, member: str, active: int, waiting: int) -> int:
    return (await ask(live, member, active=active, waiting=waiting)).places


async def test_a_process_alone_gets_the_whole_limit(live: Live) -> None:
    assert (await ask(live, waiting=10)).places == 4
    assert (await ask(live, active=4, waiting=6)).places == 4


async def test_rates_alone_do_not_limit_the_places(live: Live) -> None:
    share = await ask(live, limits=CallLimits(requests_per_minute=60), waiting=10, costs=(0,) * 10)

    assert 10 <= share.places <= NO_LIMIT
    assert share.starts_in_s == (0.0, 0.0)
    assert not share.is_free


async def test_start_times_continue_where_the_last_ones_ended(live: Live) -> None:
    limits = CallLimits(requests_per_minute=600)

    first = await ask(live, limits=limits, waiting=100, costs=(0,) * 100)
    second = await ask(live, "b", limits=limits, waiting=100, costs=(0,) * 100)

    assert len(first.starts_in_s) == 20 + 9
    assert first.starts_in_s[-1] <= 1 < second.starts_in_s[0] < 1.2
    assert len(second.starts_in_s) == 1


async def test_a_correction_moves_the_next_start(live: Live) -> None:
    limits = CallLimits(tokens_per_minute=1200)
    await ask(live, limits=limits, waiting=1, costs=(1200,))

    [late] = (await ask(live, limits=limits, waiting=1, costs=(0,))).starts_in_s
    share = await ask(live, limits=limits, waiting=1, costs=(0,), correction=-1200)

    assert late > 50
    assert share.starts_in_s == (0.0,)


async def test_start_times_that_are_returned_are_given_again(live: Live) -> None:
    limits = CallLimits(requests_per_minute=10)
    await ask(live, limits=limits, waiting=1, costs=(0,))

    [late] = (await ask(live, limits=limits, waiting=1, costs=(0,))).starts_in_s
    share = await ask(live, limits=limits, waiting=1, costs=(0,), returned=2)

    assert late > 5
    assert share.starts_in_s == (0.0,)


async def test_the_last_rejection_of_a_burst_leaves_the_calls_that_the_server_took(
    live: Live,
) -> None:
    for others in (7, 6, 5, 4):
        rejection = Rejection(pause_s=30.0, age_s=10.0)
        share = await ask(live, limits=NONE, active=others, waiting=20, rejection=rejection)
        assert share.places == others
        assert share.pause_s == pytest.approx(30.0, abs=0.5)

    share = await ask(live, limits=NONE, active=4, waiting=20)
    assert (share.places, share.is_free) == (4, False)


async def test_a_rejection_of_a_call_of_the_new_window_halves_it(live: Live) -> None:
    await ask(live, limits=NONE, active=8, rejection=Rejection(0.0, 10.0))

    share = await ask(live, limits=NONE, active=7, waiting=9, rejection=Rejection(0.0, 0.0))

    assert share.places == 4


async def test_a_rejection_after_many_answers_only_pauses(live: Live) -> None:
    await ask(live, limits=NONE, active=8, rejection=Rejection(0.0, 10.0))
    await ask(live, limits=NONE, active=8, answered=16)

    share = await ask(live, limits=NONE, active=7, waiting=9, rejection=Rejection(9.0, 0.0))

    assert share.places == 8
    assert share.pause_s == pytest.approx(9.0, abs=0.5)


async def test_without_limits_and_rejections_no_share_is_needed(live: Live) -> None:
    assert (await ask(live, limits=NONE, waiting=1)).is_free


async def test_the_learned_window_does_not_exceed_the_limit(live: Live) -> None:
    share = await ask(live, active=9, waiting=9, rejection=Rejection(1.0, 1.0))

    assert share.places == 4


@valkey_only
async def test_processes_that_want_more_than_there_is_get_equal_parts(
    valkey_server: Valkey,
) -> None:
    live = RedisLive(valkey_server.url)

    assert await places(live, "a", 0, 10) == 4
    assert await places(live, "b", 0, 10) == 0
    assert await places(live, "a", 4, 6) == 2  # it may start no call until two have ended
    assert await places(live, "b", 0, 10) == 0
    assert await places(live, "a", 2, 6) == 2
    assert await places(live, "b", 0, 10) == 2
    await places(live, "a", 0, 0)
    assert await places(live, "b", 2, 8) == 4
    await live.close()


@valkey_only
async def test_places_that_cannot_be_divided_take_turns(valkey_server: Valkey) -> None:
    live = RedisLive(valkey_server.url)
    active, served = dict.fromkeys("abc", 0), set[str]()

    async with asyncio.timeout(BOUND_S * 2):
        while served != set(active):
            for member in active:
                given = (await ask(live, member, ONE, active=active[member], waiting=9)).places
                active[member] = min(1, given)
                served.update(member for member in active if active[member])
            assert sum(active.values()) <= 1
            await asyncio.sleep(0.1)

    await live.close()


@valkey_only
async def test_a_process_that_wants_little_gets_it_and_leaves_the_rest(
    valkey_server: Valkey,
) -> None:
    live = RedisLive(valkey_server.url)

    assert await places(live, "a", 1, 0) == 1
    assert await places(live, "b", 0, 10) == 3
    await live.close()


@valkey_only
async def test_all_processes_together_never_get_more_than_the_limit(valkey_server: Valkey) -> None:
    live = RedisLive(valkey_server.url)
    members = {f"member-{number}": 0 for number in range(7)}

    for turn in range(200):
        for index, member in enumerate(members):
            wanted = (turn * 7 + index * 5) % 6
            given = await places(live, member, min(members[member], wanted), wanted)
            members[member] = given
            assert sum(members.values()) <= 4

    await live.close()


@valkey_only
async def test_the_places_of_a_killed_process_come_back_after_its_lease(
    valkey_server: Valkey,
) -> None:
    live = RedisLive(valkey_server.url, lease_ms=150)
    assert await places(live, "killed", 4, 0) == 4

    async with asyncio.timeout(BOUND_S):
        while await places(live, "b", 0, 4) < 4:  # noqa: ASYNC110 - a lease ends without an event
            await asyncio.sleep(0.02)

    await live.close()


@valkey_only
async def test_calls_of_a_process_that_had_not_asked_are_accepted_ones(
    valkey_server: Valkey,
) -> None:
    live = RedisLive(valkey_server.url)
    await ask(live, "a", NONE, active=1, waiting=9, rejection=Rejection(30.0, 1.0))

    joined = await ask(live, "b", NONE, active=3, waiting=9)
    await ask(live, "b", NONE)
    alone = await ask(live, "a", NONE, active=1, waiting=9)

    assert (joined.places, alone.places) == (2, 4)
    await live.close()


@valkey_only
async def test_the_first_rejection_of_a_burst_is_published(
    valkey_server: Valkey,
) -> None:
    live = RedisLive(valkey_server.url)

    async with asyncio.timeout(BOUND_S), live.subscribe(PACE_TOPIC) as messages:
        for others in (3, 2):
            await ask(live, limits=NONE, active=others, rejection=Rejection(1.0, 5.0))
        await live.publish(PACE_TOPIC, b"end")
        assert [await anext(messages), await anext(messages)] == [b"main", b"end"]

    await live.close()


async def test_a_published_profile_is_engaged(live: Live) -> None:
    engaged: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    class Noted(Pacing):
        def engage(self, profile: str) -> None:
            if not engaged.done():
                engaged.set_result(profile)

    following = asyncio.create_task(follow_pace(live, Noted()))
    async with asyncio.timeout(BOUND_S):
        while not engaged.done():
            await live.publish(PACE_TOPIC, b"main")
            await asyncio.sleep(0.01)

    assert engaged.result() == "main"
    following.cancel()
