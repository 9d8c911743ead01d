"""Calling functions as tools."""

import asyncio
import json
import threading
from contextvars import ContextVar
from datetime import timedelta

import pytest
from pydantic import BaseModel

from teamrun.core import CancellationToken
from teamrun.errors import ToolTimeout
from teamrun.tools import BaseTool, BaseToolWithState, FunctionTool, ToolContext


class Sum(BaseModel):
    total: int


@pytest.mark.behaviour("tool.thread")
async def test_a_plain_function_runs_in_a_thread_with_the_callers_context() -> None:
    here: ContextVar[str] = ContextVar("here")

    def work() -> tuple[bool, str]:
        return threading.current_thread() is threading.main_thread(), here.get()

    here.set("caller")
    assert await FunctionTool(work, "d").run_json({}) == (False, "caller")


async def test_an_exception_of_a_function_is_raised() -> None:
    error = KeyError("k")

    def sync() -> None:
        raise error

    async def asynchronous() -> None:
        raise error

    for func in (sync, asynchronous):
        with pytest.raises(KeyError) as caught:
            await FunctionTool(func, "d").run_json({})
        assert caught.value is error


@pytest.mark.behaviour("tool.result")
def test_models_are_shown_as_json_and_the_rest_as_python_prints_it() -> None:
    tool = FunctionTool(lambda: None, "d", name="t")

    assert json.loads(tool.return_value_as_string(Sum(total=3))) == {"total": 3}
    assert tool.return_value_as_string({"a": 1}) == "{'a': 1}"
    assert tool.return_value_as_string("text") == "text"
    assert tool.return_value_as_string(None) == "None"


async def test_a_cancel_ends_the_waiting_for_a_thread() -> None:
    started, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        started.set()
        go_on.wait(30)

    try:
        token = CancellationToken()
        task = asyncio.create_task(FunctionTool(hang, "d").run_json({}, token))
        await asyncio.to_thread(started.wait, 30)
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        go_on.set()


@pytest.mark.behaviour("tool.timeout")
async def test_a_call_that_takes_too_long_fails_with_a_timeout() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    tool = FunctionTool(forever, "d", timeout=timedelta(milliseconds=1))

    with pytest.raises(ToolTimeout) as caught:
        await tool.run_json({})
    assert caught.value.code == "tool_timeout"


async def test_a_timeout_of_the_functions_own_is_its_own() -> None:
    async def late() -> None:
        raise TimeoutError("upstream")

    tool = FunctionTool(late, "d", timeout=timedelta(seconds=30))

    with pytest.raises(TimeoutError):
        await tool.run_json({})


async def test_outside_a_run_a_tool_keeps_its_state_between_calls() -> None:
    def count(context: ToolContext) -> int:
        context.state["n"] = context.state.get("n", 0) + 1
        return context.state["n"]

    tool, other = FunctionTool(count), FunctionTool(count)
    values = [await tool.run_json({}), await tool.run_json({}), await other.run_json({})]
    await other.load_state_json(await tool.save_state_json())
    assert [*values, await other.run_json({})] == [1, 2, 1, 3]


class Args(BaseModel):
    by: int


class State(BaseModel):
    total: int = 0


class Adder(BaseToolWithState[Args, int, State]):
    def __init__(self) -> None:
        super().__init__(Args, int, State, "adder", "Adds up.")
        self.total = 0

    async def run(self, args: Args, cancellation_token: CancellationToken) -> int:
        self.total += args.by
        return self.total

    def save_state(self) -> State:
        return State(total=self.total)

    def load_state(self, state: State) -> None:
        self.total = state.total


@pytest.mark.behaviour("tool.classes")
async def test_a_tool_may_be_a_class_with_state() -> None:
    first, second = Adder(), Adder()
    values = [await first.run_json({"by": 2}), await first.run_json({"by": 3})]
    await second.load_state_json(await first.save_state_json())
    assert [*values, await second.run_json({"by": 1})] == [2, 5, 6]
    assert Adder().schema["name"] == "adder"
    assert Adder().args_type() is Args
    assert Adder().return_type() is int
    assert isinstance(Adder(), BaseTool)
