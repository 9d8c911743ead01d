"""Equal calls at the same time are made once, also when they fail or callers are cancelled."""

import asyncio
from typing import Any

import pytest

from teamrun.core.cancellation import CancellationToken
from teamrun.core.shared_calls import SharedCalls


class Outside:
    """A call that ends when the test lets it."""

    def __init__(self) -> None:
        self.made = 0
        self.tokens: list[CancellationToken] = []
        self.was_cancelled = False
        self.may_end = asyncio.Event()
        self.error: BaseException | None = None

    async def __call__(self, token: CancellationToken) -> str:
        self.made += 1
        self.tokens.append(token)
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        if self.error is not None:
            raise self.error
        return f"result {self.made}"


async def started(calls: SharedCalls[str], outside: Outside, number: int = 5) -> list[Any]:
    tasks = [asyncio.create_task(calls.call("key", outside)) for _ in range(number)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_five_at_once_are_one_and_a_later_one_is_another() -> None:
    calls, outside = SharedCalls[str](), Outside()
    tasks = await started(calls, outside)
    outside.may_end.set()

    assert await asyncio.gather(*tasks) == ["result 1"] * 5
    assert await calls.call("key", outside) == "result 2"


async def test_other_keys_are_other_calls() -> None:
    calls, outside = SharedCalls[str](), Outside()
    outside.may_end.set()

    await asyncio.gather(calls.call("a", outside), calls.call("b", outside))

    assert outside.made == 2


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), asyncio.CancelledError()])
async def test_all_get_the_exception_of_any_class_and_the_next_call_is_made(
    error: BaseException,
) -> None:
    calls, outside = SharedCalls[str](), Outside()
    outside.error = error

    async def caught() -> BaseException | None:
        try:
            await calls.call("key", outside)
        except BaseException as found:
            return found
        return None

    tasks = [asyncio.create_task(caught()) for _ in range(3)]
    await asyncio.sleep(0)
    outside.may_end.set()

    assert [type(each) for each in await asyncio.gather(*tasks)] == [type(error)] * 3
    outside.error = None
    assert await calls.call("key", outside) == "result 2"


@pytest.mark.parametrize("which", [0, 2])
async def test_a_caller_that_is_cancelled_leaves_the_call_to_the_others(which: int) -> None:
    calls, outside = SharedCalls[str](), Outside()
    tasks = await started(calls, outside, 3)

    tasks[which].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[which]
    outside.may_end.set()

    assert await asyncio.gather(*[each for each in tasks if not each.done()]) == ["result 1"] * 2
    assert not outside.was_cancelled


async def test_a_token_cancels_one_caller() -> None:
    calls, outside, token = SharedCalls[str](), Outside(), CancellationToken()
    mine = asyncio.create_task(calls.call("key", outside, token))
    [other] = await started(calls, outside, 1)

    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await mine
    outside.may_end.set()

    assert await other == "result 1"


async def test_without_callers_the_call_ends_before_the_last_of_them_and_a_new_one_begins() -> None:
    calls, outside = SharedCalls[str](), Outside()
    tasks = await started(calls, outside, 2)

    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

    assert outside.was_cancelled
    assert outside.tokens[0].is_cancelled()
    outside.may_end.set()
    assert await calls.call("key", outside) == "result 2"


async def test_a_call_that_begins_while_another_is_being_ended_is_made() -> None:
    calls, outside = SharedCalls[str](), Outside()
    ends = asyncio.Event()

    async def slow_to_end(_: CancellationToken) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await ends.wait()
        return "never"

    first = asyncio.create_task(calls.call("key", slow_to_end))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    outside.may_end.set()

    assert await calls.call("key", outside) == "result 1"
    ends.set()
    with pytest.raises(asyncio.CancelledError):
        await first


def test_loops_of_different_threads_share_no_call() -> None:
    calls = SharedCalls[str]()

    async def value(_: CancellationToken) -> str:
        return "x"

    assert [asyncio.run(calls.call("key", value)) for _ in range(2)] == ["x", "x"]
