import asyncio
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import OutsideCall
from teamrun.runs.engine.loop import RunLoop


def drive(code: Callable[[], Awaitable[object]]) -> object:
    async def main() -> object:
        return await code()

    loop = RunLoop()
    task = loop.create_task(main())
    assert loop.drain(10_000)
    return task.result()


def test_run_code_can_use_tasks_and_gather() -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    async def code() -> list[int]:
        return list(await asyncio.gather(double(1), double(2)))

    assert drive(code) == [2, 4]


async def with_timeout() -> None:
    async with asyncio.timeout(1):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "reach",
    [
        lambda: asyncio.sleep(1),
        lambda: asyncio.to_thread(int),
        lambda: asyncio.open_connection("127.0.0.1", 1),
        lambda: asyncio.create_subprocess_exec("true"),
        with_timeout,
    ],
    ids=["timer", "thread", "socket", "process", "timeout"],
)
def test_run_code_that_reaches_outside_is_an_error(reach: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(OutsideCall) as caught:
        drive(reach)
    assert caught.value.code == "outside_call"


def test_a_drain_is_bounded() -> None:
    async def forever() -> None:
        while True:  # noqa: ASYNC110 - the test stops it
            await asyncio.sleep(0)

    loop = RunLoop()
    loop.create_task(forever())
    assert not loop.drain(100)
    loop.close()


def test_closing_lets_code_clean_up() -> None:
    seen: list[str] = []

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
        finally:
            seen.append("generator closed")

    async def code() -> None:
        try:
            async for _ in numbers():
                await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            seen.append("task cancelled")

    loop = RunLoop()
    loop.create_task(code())
    loop.drain(100)
    loop.close()
    assert sorted(seen) == ["generator closed", "task cancelled"]


def test_a_generator_that_has_finished_is_not_kept() -> None:
    kept: list[weakref.ref[AsyncGenerator[int, None]]] = []

    async def numbers() -> AsyncGenerator[int, None]:
        yield 1

    async def code() -> None:
        generator = numbers()
        kept.append(weakref.ref(generator))
        assert [number async for number in generator] == [1]

    loop = RunLoop()
    loop.create_task(code())
    assert loop.drain(100)
    assert kept[0]() is None
    loop.close()


def test_a_generator_that_was_left_behind_is_closed_with_the_loop() -> None:
    seen: list[str] = []

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            seen.append("closed")

    async def code() -> None:
        await anext(numbers())

    loop = RunLoop()
    loop.create_task(code())
    assert loop.drain(100)
    assert seen == []
    loop.close()
    assert seen == ["closed"]


async def test_the_running_loop_is_given_back() -> None:
    real = asyncio.get_running_loop()
    done = real.create_future()

    def drain() -> None:
        loop = RunLoop()
        loop.create_task(asyncio.sleep(0))
        loop.drain(10)
        done.set_result(asyncio.get_running_loop() is real)

    real.call_soon(drain)
    assert await done


def test_a_token_can_be_cancelled_inside_a_run() -> None:
    async def code() -> str:
        token = CancellationToken()
        asyncio.get_running_loop().call_soon_threadsafe(token.cancel)
        try:
            with cancelled_by(token):
                await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return "cancelled"
        return "went on"

    assert drive(code) == "cancelled"
