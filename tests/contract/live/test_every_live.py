"""Requirements of shared state, in this process or in Valkey."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from teamrun.live.base import Live, View
from teamrun.live.open import open_live

MINUTE = timedelta(minutes=1)
INSTANT = timedelta(milliseconds=1)


@pytest.fixture(params=["memory", pytest.param("valkey", marks=pytest.mark.integration)])
async def live(request: pytest.FixtureRequest) -> AsyncGenerator[Live]:
    """Empty state of each kind."""
    url = None
    if request.param == "valkey":
        url = request.getfixturevalue("valkey_server").url
    opened = open_live(url)
    yield opened
    await opened.close()


async def test_every_subscriber_of_a_topic_gets_its_messages_in_order(live: Live) -> None:
    async with (
        live.subscribe("run/1") as one,
        live.subscribe("run/1") as two,
        live.subscribe("run/2") as other,
    ):
        for n in range(50):
            await live.publish("run/1", b"%d\x00\xff" % n)
        await live.publish("run/2", b"other")
        expected = [b"%d\x00\xff" % n for n in range(50)]
        assert [await anext(one) for _ in range(50)] == expected
        assert [await anext(two) for _ in range(50)] == expected
        assert await anext(other) == b"other"


async def test_nothing_published_before_or_after_the_context_is_seen(live: Live) -> None:
    await live.publish("t", b"before")
    async with live.subscribe("t") as messages:
        await live.publish("t", b"within")
        assert await anext(messages) == b"within"
    await live.publish("t", b"after")
    async with live.subscribe("t") as messages:
        await live.publish("t", b"again")
        assert await anext(messages) == b"again"


async def test_a_reader_that_is_waiting_wakes(live: Live) -> None:
    async with live.subscribe("t") as messages:
        waiting = asyncio.ensure_future(anext(messages))
        await asyncio.sleep(0)
        assert not waiting.done()
        await live.publish("t", b"now")
        assert await waiting == b"now"


async def test_one_that_leaves_does_not_disturb_the_others(live: Live) -> None:
    async with live.subscribe("t") as stays:
        async with live.subscribe("t"):
            pass
        await live.publish("t", b"still here")
        assert await anext(stays) == b"still here"


async def test_a_slow_reader_loses_the_oldest(live: Live) -> None:
    async with live.subscribe("t") as slow, live.subscribe("t") as quick:
        for n in range(1100):
            await live.publish("t", b"%d" % n)
            assert await anext(quick) == b"%d" % n
        assert await anext(slow) == b"76"
        assert await anext(slow) == b"77"


async def test_closing_ends_the_iteration(live: Live) -> None:
    async def _all(messages: Any) -> list[bytes]:
        return [message async for message in messages]

    async with live.subscribe("t") as messages:
        await live.publish("t", b"last")
        waiting = asyncio.create_task(_all(messages))
        await asyncio.sleep(0)
        await live.close()
        assert await waiting in ([b"last"], [])


async def test_a_thousand_readers_come_and_go(live: Live) -> None:
    async with AsyncExitStack() as stack:
        subscriptions = [live.subscribe(f"run/{n % 10}") for n in range(1000)]
        readers = await asyncio.gather(
            *(stack.enter_async_context(subscription) for subscription in subscriptions)
        )
        for n in range(10):
            await live.publish(f"run/{n}", b"%d" % n)
        received = await asyncio.gather(*(anext(reader) for reader in readers))
        assert received == [b"%d" % (n % 10) for n in range(1000)]


async def test_a_lease_has_one_owner_which_may_renew_it(live: Live) -> None:
    assert await live.acquire("run-1", "ann", MINUTE) is True
    assert await live.acquire("run-1", "bob", MINUTE) is False
    assert await live.acquire("run-1", "ann", MINUTE) is True
    assert await live.acquire("run-2", "bob", MINUTE) is True
    assert await live.held(["run-1", "none", "run-2"]) == [True, False, True]
    assert await live.held([]) == []


async def test_only_the_owner_can_give_a_lease_up(live: Live) -> None:
    await live.acquire("run-1", "ann", MINUTE)
    await live.release("run-1", "bob")
    await live.release("none", "bob")
    assert await live.held(["run-1"]) == [True]
    await live.release("run-1", "ann")
    assert await live.held(["run-1"]) == [False]
    assert await live.acquire("run-1", "bob", MINUTE) is True


async def test_one_of_many_requests_for_a_lease_succeeds(live: Live) -> None:
    got = await asyncio.gather(*(live.acquire("run", f"w{n}", MINUTE) for n in range(100)))
    assert got.count(True) == 1


async def test_a_lease_ends_by_itself(live: Live) -> None:
    assert await live.acquire("run", "ann", INSTANT) is True
    while not await live.acquire("run", "bob", MINUTE):
        await live.ping()
    assert await live.acquire("run", "ann", MINUTE) is False


async def test_the_age_counts_from_the_first_look(live: Live) -> None:
    assert await live.age() is None
    first = await live.age()
    second = await live.age()
    assert first is not None
    assert second is not None
    assert timedelta(0) <= first <= second < MINUTE


async def test_a_view_is_replaced_by_one_of_more_entries_only(live: Live) -> None:
    await live.set_view("t/run-1", View(3, b"three"))
    await live.set_view("t/run-1", View(2, b"two"))
    await live.set_view("t/run-1", View(3, b"another three"))
    assert await live.views(["t/run-1"]) == [View(3, b"three")]
    await live.set_view("t/run-1", View(12, b"twelve"))
    assert await live.views(["t/run-1"]) == [View(12, b"twelve")]


async def test_views_come_in_the_order_of_the_keys(live: Live) -> None:
    state = bytes(range(256)) + b"7:\r\n"
    for n in range(1500):
        await live.set_view(f"run-{n}", View(n, state))
    keys = [f"run-{n}" for n in range(1499, -1, -1)]
    expected = [View(n, state) for n in range(1499, -1, -1)]
    assert await live.views([*keys, "none", "run-5"]) == [*expected, None, View(5, state)]
    assert await live.views([]) == []


async def test_it_answers_a_ping(live: Live) -> None:
    await live.ping()


async def test_an_answer_is_kept_until_its_time_is_over(live: Live) -> None:
    assert await live.answer("a") is None
    await live.keep_answer("a", b"one\x00\xff", MINUTE)
    await live.keep_answer("a", b"two\x00\xff", MINUTE)
    await live.keep_answer("b", b"short", INSTANT)
    assert await live.answer("a") == b"two\x00\xff"
    async with asyncio.timeout(10):
        await gone(live, "b")


async def gone(live: Live, key: str) -> None:
    while await live.answer(key) is not None:  # noqa: ASYNC110 - the clock is the server's
        await asyncio.sleep(0.001)
