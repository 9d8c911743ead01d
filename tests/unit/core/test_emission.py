"""Work that emits items: awaited at once, or read as a stream, one item at a time."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamrun.core.emission import Emissions, Emit, ignore, streamed


class Work:
    """Emits `count` items, with a suspension before some of them; notes how far it has come."""

    def __init__(self, count: int, *, suspends: set[int] | None = None) -> None:
        self.count = count
        self.suspends = suspends or set()
        self.begun = 0
        self.cleaned_up = False

    async def __call__(self, emit: Emit[int]) -> str:
        try:
            for number in range(self.count):
                if number in self.suspends:
                    await asyncio.sleep(0)
                self.begun += 1
                await self._deeper(emit, number)
            return "done"
        finally:
            await asyncio.sleep(0)  # a clean-up may await
            self.cleaned_up = True

    async def _deeper(self, emit: Emit[int], number: int) -> None:
        await emit(number)


@given(count=st.integers(0, 8), suspends=st.sets(st.integers(0, 8)))
async def test_a_stream_yields_every_item_and_then_the_result(
    count: int, suspends: set[int]
) -> None:
    items = [item async for item in streamed(Work(count, suspends=suspends))]

    assert items == [*range(count), "done"]


async def test_work_continues_only_when_an_item_is_requested() -> None:
    work = Work(3)
    emissions = Emissions(work)
    assert work.begun == 0

    assert [await emissions.next(), await emissions.next()] == [0, 1]

    assert work.begun == 2
    await emissions.aclose()


@given(count=st.integers(1, 6), read=st.integers(0, 6), suspends=st.sets(st.integers(0, 6)))
async def test_closed_work_cleans_up_and_emits_nothing_more(
    count: int, read: int, suspends: set[int]
) -> None:
    work = Work(count, suspends=suspends)
    emissions = Emissions(work)
    for _ in range(read):
        if await emissions.next() is None:
            break

    await emissions.aclose()
    await emissions.aclose()

    assert work.begun == min(read, count)
    assert work.cleaned_up or not read


async def test_an_exception_of_the_work_is_raised_where_the_item_was_requested() -> None:
    async def fails(emit: Emit[int]) -> None:
        await emit(1)
        raise LookupError

    emissions = Emissions(fails)
    assert await emissions.next() == 1

    with pytest.raises(LookupError):
        await emissions.next()
    await emissions.aclose()


async def test_a_cancellation_reaches_the_await_inside_of_the_work() -> None:
    seen: list[str] = []

    async def waits(emit: Emit[int]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def read() -> None:
        async for _ in streamed(waits):
            pass

    task = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


async def test_work_that_emits_after_it_was_closed_is_an_error() -> None:
    async def stubborn(emit: Emit[int]) -> None:
        try:
            await emit(1)
        finally:
            await emit(2)

    emissions = Emissions(stubborn)
    await emissions.next()

    with pytest.raises(RuntimeError):
        await emissions.aclose()


@pytest.mark.parametrize("leave", [lambda: None, asyncio.CancelledError])
async def test_a_stream_that_is_left_closes_its_work(leave: Callable[[], object]) -> None:
    work = Work(3)
    stream = streamed(work)
    assert await anext(stream) == 0
    if leave() is not None:
        with pytest.raises(asyncio.CancelledError):
            await stream.athrow(asyncio.CancelledError())

    await stream.aclose()

    assert work.cleaned_up


async def test_work_is_awaited_with_a_function_that_takes_its_items() -> None:
    taken: list[int] = []

    async def take(item: int) -> None:
        taken.append(item)

    assert await Work(3)(take) == await Work(3)(ignore) == "done"
    assert taken == [0, 1, 2]
