"""Generator functions as tools: the result is the list of their values."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from teamrun.agents import AssistantAgent
from teamrun.core import CancellationToken
from teamrun.errors import ToolError
from teamrun.messages import ToolCallExecutionEvent
from teamrun.testing import ScriptedModel
from teamrun.tools import BaseTool, FunctionTool
from teamrun.tools import function as limits


def numbers(count: int) -> Iterator[int]:
    """Counts."""
    yield from range(count)


async def later(count: int) -> AsyncIterator[int]:
    """Counts."""
    for number in range(count):
        await asyncio.sleep(0)
        yield number


async def gives_generator(count: int) -> Iterator[int]:
    """Counts."""
    return numbers(count)


async def gives_async_generator(count: int) -> AsyncIterator[int]:
    """Counts."""
    return later(count)


def gives_map(count: int) -> Iterator[int]:
    """Counts."""
    return map(int, range(count))


class Counter:
    """Counts."""

    async def __call__(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number


class Arguments(BaseModel):
    """None."""


class Bare:
    """An async iterator that cannot be closed."""

    def __init__(self, count: int) -> None:
        self.left = iter(range(count))

    def __aiter__(self) -> "Bare":
        return self

    async def __anext__(self) -> int:
        for number in self.left:
            return number
        raise StopAsyncIteration


def gives_bare(count: int) -> Any:
    """Counts."""
    return Bare(count)


COUNTING: dict[str, Callable[..., Any]] = {
    "generator": numbers,
    "async generator": later,
    "gives generator": gives_generator,
    "gives async generator": gives_async_generator,
    "gives map": gives_map,
    "gives bare": gives_bare,
    "callable": Counter(),
    "partial of a generator": functools.partial(numbers),
    "partial of an async generator": functools.partial(later),
}


@pytest.mark.parametrize("function", COUNTING.values(), ids=COUNTING)
@pytest.mark.parametrize("timeout", [None, timedelta(seconds=30)])
async def test_the_result_of_a_generator_is_the_list_of_its_values(
    function: Callable[..., Any], timeout: timedelta | None
) -> None:
    tool = FunctionTool(function, "Counts.", name="count", timeout=timeout)

    assert await tool.run_json({"count": 3}) == [0, 1, 2]
    assert tool.return_value_as_string([0, 1, 2]) == "[0, 1, 2]"


@pytest.mark.parametrize("function", COUNTING.values(), ids=COUNTING)
async def test_a_generator_that_does_not_end_is_stopped(
    function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_YIELDED", 100)
    tool = FunctionTool(function, "Counts.", name="count")

    with pytest.raises(ToolError):
        await tool.run_json({"count": 101})


async def test_the_model_gets_the_values() -> None:
    step = {"tool_calls": [{"name": "later", "arguments": {"count": 2}}]}
    agent = AssistantAgent("a", ScriptedModel([step]), tools=[later])
    result = await agent.run(task="go")
    assert [
        each.content
        for message in result.messages
        if isinstance(message, ToolCallExecutionEvent)
        for each in message.content
    ] == ["[0, 1]"]


async def test_a_generator_that_is_not_async_runs_in_a_thread() -> None:
    def where() -> Iterator[bool]:
        yield threading.current_thread() is threading.main_thread()

    assert await FunctionTool(where, "Where.").run_json({}) == [False]


async def test_an_exception_of_a_generator_fails_the_call() -> None:
    async def half() -> AsyncIterator[int]:
        yield 1
        raise LookupError("no more")

    with pytest.raises(LookupError):
        await FunctionTool(half, "Half.").run_json({})


async def test_a_cancel_closes_an_async_generator() -> None:
    closed: list[bool] = []
    started = asyncio.Event()

    async def waits() -> AsyncIterator[int]:
        try:
            yield 1
            started.set()
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    token = CancellationToken()
    call = asyncio.ensure_future(FunctionTool(waits, "Waits.").run_json({}, token))
    await started.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert closed == [True]


async def test_a_tool_class_that_returns_an_async_generator_is_an_error() -> None:
    class Own(BaseTool[Arguments, Any]):
        async def run(self, args: Arguments, cancellation_token: CancellationToken) -> Any:
            return later(1)

    tool = Own(Arguments, object, "own", "Counts.")
    with pytest.raises(ToolError):
        tool.return_value_as_string(await tool.run_json({}))
