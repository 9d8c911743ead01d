"""Shared state of one process."""

from datetime import timedelta

from teamrun.live.base import View
from teamrun.live.memory import MemoryLive


async def test_leases_and_age_go_by_the_given_clock() -> None:
    now = 100.0
    live = MemoryLive(clock=lambda: now)
    await live.age()
    await live.acquire("run", "ann", timedelta(seconds=60))
    now += 59
    assert await live.acquire("run", "bob", timedelta(seconds=60)) is False
    now += 1
    assert await live.held(["run"]) == [False]
    assert await live.acquire("run", "bob", timedelta(seconds=60)) is True
    assert await live.age() == timedelta(seconds=60)


async def test_forgetting_is_what_a_flushed_server_does() -> None:
    live = MemoryLive()
    await live.age()
    await live.acquire("run", "ann", timedelta(minutes=1))
    await live.set_view("run", View(1, b"x"))
    async with live.subscribe("t") as messages:
        live.forget()
        assert [message async for message in messages] == []
    assert await live.held(["run"]) == [False]
    assert await live.views(["run"]) == [None]
    assert await live.age() is None


async def test_views_do_not_pile_up_without_end() -> None:
    live = MemoryLive()
    for n in range(10_001):
        await live.set_view(f"{n}", View(1, b""))
    assert await live.views(["0", "1", "10000"]) == [None, View(1, b""), View(1, b"")]
