"""Work with a limit of time that does not depend on the work."""

import asyncio
import contextlib

import pytest

from teamrun.core import patience
from teamrun.core.patience import Expired, within


async def _stubborn(end: asyncio.Event) -> str:
    while not end.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await end.wait()
    return "late"


async def _raises(error: BaseException) -> str:
    raise error


def test_work_that_ignores_its_cancellation_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(patience, "PATIENCE_S", 0.01)
        end = asyncio.Event()
        with pytest.raises(Expired):
            await within(0.01, _stubborn(end))
        end.set()

    asyncio.run(scenario())


def test_a_caller_that_is_cancelled_does_not_wait_for_such_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(patience, "PATIENCE_S", 0.01)
        end = asyncio.Event()
        caller = asyncio.create_task(within(60, _stubborn(end)))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        end.set()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "error",
    [ValueError(), TimeoutError(), SystemExit(3), GeneratorExit(), asyncio.CancelledError()],
)
def test_an_exception_of_the_work_is_raised(error: BaseException) -> None:
    async def scenario() -> None:
        with pytest.raises(type(error)) as raised:
            await within(60, _raises(error))
        assert not isinstance(raised.value, Expired)

    asyncio.run(scenario())


def test_the_result_of_the_work_is_returned() -> None:
    async def scenario() -> None:
        assert await within(60, asyncio.sleep(0, "done")) == "done"

    asyncio.run(scenario())
