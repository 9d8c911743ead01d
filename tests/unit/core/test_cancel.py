"""Ending work through a token."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from teamrun.core import CancellationToken
from teamrun.core.cancel_scope import cancelled_by


async def test_the_await_under_way_is_cancelled_and_the_task_continues() -> None:
    token, reached = CancellationToken(), asyncio.Event()

    async def work() -> str:
        try:
            with cancelled_by(token):
                reached.set()
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # raises if the task itself were still to be cancelled
            return "ended"
        return "not reached"

    task = asyncio.create_task(work())
    await reached.wait()
    token.cancel()
    assert (await task, task.cancelling()) == ("ended", 0)


@pytest.mark.behaviour("core.token")
async def test_a_token_cancelled_before_lets_nothing_begin() -> None:
    token = CancellationToken()
    token.cancel()
    with pytest.raises(asyncio.CancelledError), cancelled_by(token):
        raise AssertionError("not reached")


@pytest.mark.behaviour("core.token")
async def test_another_thread_may_cancel() -> None:
    token = CancellationToken()
    thread = threading.Thread(target=token.cancel)
    with pytest.raises(asyncio.CancelledError), cancelled_by(token):
        thread.start()
        await asyncio.Event().wait()
    thread.join()


async def test_a_cancel_from_another_thread_that_comes_late_hits_nothing() -> None:
    token = CancellationToken()
    with pytest.raises(asyncio.CancelledError), cancelled_by(token):
        thread = threading.Thread(target=token.cancel)
        thread.start()
        thread.join()  # requested, but the loop has not run since
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_work_that_swallows_the_cancel_does_not_continue() -> None:
    token = CancellationToken()

    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    asyncio.get_running_loop().call_soon(token.cancel)
    with pytest.raises(asyncio.CancelledError), cancelled_by(token):
        await stubborn()


async def test_an_error_that_the_cancel_caused_is_kept_as_its_cause() -> None:
    token = CancellationToken()

    async def breaks() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("half done")

    asyncio.get_running_loop().call_soon(token.cancel)
    with pytest.raises(asyncio.CancelledError) as caught, cancelled_by(token):
        await breaks()
    assert isinstance(caught.value.__cause__, ValueError)


async def test_a_canceller_inside_ends_with_the_block() -> None:
    token = CancellationToken()
    with pytest.raises(asyncio.CancelledError), cancelled_by(token):
        token.cancel()
    await asyncio.sleep(0)


async def test_blocks_may_be_nested_and_cancel_once() -> None:
    token = CancellationToken()
    asyncio.get_running_loop().call_soon(token.cancel)
    with pytest.raises(asyncio.CancelledError), cancelled_by(token), cancelled_by(token):
        await asyncio.gather(asyncio.Event().wait(), asyncio.Event().wait())
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


class Counting(CancellationToken):
    """Counts its callbacks."""

    def __init__(self) -> None:
        super().__init__()
        self.held = 0

    def add_callback(self, callback: Callable[[], Any]) -> None:
        super().add_callback(callback)
        self.held += 1

    def remove_callback(self, callback: Callable[[], Any]) -> None:
        super().remove_callback(callback)
        self.held -= 1


async def test_a_token_forgets_work_that_has_ended() -> None:
    token = Counting()
    with cancelled_by(token):
        await asyncio.sleep(0)
    token.cancel()
    await asyncio.sleep(0)  # raises if the cancel reached ended work
    assert token.held == 0


async def test_without_a_token_nothing_changes() -> None:
    with pytest.raises(ZeroDivisionError), cancelled_by(None):
        raise ZeroDivisionError


@pytest.mark.behaviour("core.token")
@pytest.mark.parametrize("_", range(50))
def test_each_callback_is_called_once_whichever_threads_add_and_cancel(_: int) -> None:
    token, called, begin = CancellationToken(), list[int](), threading.Barrier(4)

    def add(first: int) -> None:
        begin.wait()
        for number in range(first, first + 50):
            token.add_callback(lambda number=number: called.append(number))

    def cancel() -> None:
        begin.wait()
        token.cancel()

    works = [lambda: add(0), lambda: add(100), cancel, cancel]
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(called) == [*range(50), *range(100, 150)]


def test_a_removed_callback_is_not_called_and_may_be_removed_again() -> None:
    token, called = CancellationToken(), list[str]()

    def callback() -> None:
        called.append("called")

    token.add_callback(callback)
    token.remove_callback(callback)
    token.remove_callback(callback)
    token.cancel()
    token.remove_callback(callback)

    assert called == []
