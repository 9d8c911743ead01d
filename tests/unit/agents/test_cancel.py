"""A cancel ends a turn promptly, whatever it is waiting for."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from teamrun.agents import AssistantAgent
from teamrun.core import CancellationToken
from teamrun.errors import RunError
from teamrun.memory import ListMemory, UpdateContextResult
from teamrun.messages import CreateResult, TextMessage, ToolCallSummaryMessage
from teamrun.models import ChatCompletionClient
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel
from teamrun.tools import AgentTool, FunctionTool, StaticStreamWorkbench, StaticWorkbench

HELLO = TextMessage(content="hello", source="user")


class Hanging:
    """Async functions that wait for ever, and what became of them."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = 0

    async def hang(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def ask(*names: str) -> ScriptedModel:
    return ScriptedModel([{"tool_calls": [{"name": name} for name in names]}])


async def cancel_during(work: Callable[[CancellationToken], Any], started: asyncio.Event) -> None:
    token = CancellationToken()
    task = asyncio.ensure_future(work(token))
    await started.wait()
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.behaviour("team.cancel.tool")
@pytest.mark.parametrize("names", [["hang"], ["hang", "hang"]], ids=["one call", "two calls"])
async def test_a_cancel_while_tools_run_ends_the_run(names: Sequence[str]) -> None:
    tool = Hanging()
    agent = AssistantAgent("ada", ask(*names), tools=[tool.hang])
    await cancel_during(lambda token: agent.run("go", cancellation_token=token), tool.started)
    assert tool.cancelled == len(names)


@pytest.mark.behaviour("team.cancel.tool")
async def test_a_cancel_while_a_tool_runs_ends_the_team() -> None:
    tool = Hanging()
    team = RoundRobinGroupChat([AssistantAgent("ada", ask("hang"), tools=[tool.hang])])
    await cancel_during(lambda token: team.run("go", cancellation_token=token), tool.started)
    assert tool.cancelled == 1


async def test_a_cancel_reaches_a_tool_inside_an_agent_tool() -> None:
    tool = Hanging()
    inner = AssistantAgent("helper", ask("hang"), tools=[tool.hang])
    model = ScriptedModel([{"tool_calls": [{"name": "helper", "arguments": {"task": "x"}}]}])
    agent = AssistantAgent("ada", model, tools=[AgentTool(inner)])
    await cancel_during(lambda token: agent.run("go", cancellation_token=token), tool.started)
    assert tool.cancelled == 1


async def test_a_cancel_reaches_a_tool_beside_an_agent_tool() -> None:
    tool = Hanging()
    calls = [{"name": "helper", "arguments": {"task": "x"}}, {"name": "hang"}]
    agent = AssistantAgent(
        "ada",
        ScriptedModel([{"tool_calls": calls}]),
        tools=[AgentTool(AssistantAgent("helper", ScriptedModel(["x"]))), tool.hang],
    )
    await cancel_during(lambda token: agent.run("go", cancellation_token=token), tool.started)
    assert tool.cancelled == 1


async def test_a_cancel_does_not_wait_for_a_thread() -> None:
    loop, started, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def block() -> None:
        loop.call_soon_threadsafe(started.set)
        go_on.wait(30)

    agent = AssistantAgent("ada", ask("block"), tools=[block])
    try:
        await cancel_during(lambda token: agent.run("go", cancellation_token=token), started)
    finally:
        go_on.set()


async def awaits_what_it_cancels() -> None:
    inner = asyncio.ensure_future(asyncio.Event().wait())
    asyncio.get_running_loop().call_soon(inner.cancel)
    await inner


async def raises_cancelled() -> None:
    raise asyncio.CancelledError


async def leaves() -> None:
    raise SystemExit(3)


async def groups() -> None:
    raise BaseExceptionGroup("both", [asyncio.CancelledError(), ValueError("no")])


async def closes() -> None:
    raise GeneratorExit


async def interrupts() -> None:
    raise BaseExceptionGroup("both", [KeyboardInterrupt(), ValueError("no")])


FAILING = [awaits_what_it_cancels, raises_cancelled, leaves, groups, closes, interrupts]


@pytest.mark.behaviour("team.cancel.tool_cancels")
@pytest.mark.parametrize("tool", FAILING)
@pytest.mark.parametrize("calls", [1, 2])
async def test_a_tool_that_is_cancelled_from_inside_has_failed_and_its_caller_continues(
    tool: Callable[[], Awaitable[None]], calls: int
) -> None:
    agent = AssistantAgent("ada", ask(*[tool.__name__, "fine"][:calls]), tools=[tool, fine])
    result = await agent.run(task="go")
    assert isinstance(result.messages[-1], ToolCallSummaryMessage)
    assert [told.is_error for told in result.messages[-1].results] == [True, False][:calls]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@pytest.mark.parametrize("tool", FAILING)
@pytest.mark.parametrize("kind", [StaticWorkbench, StaticStreamWorkbench])
async def test_so_it_has_in_a_workbench(
    tool: Callable[[], Awaitable[None]], kind: type[StaticWorkbench]
) -> None:
    workbench = kind([FunctionTool(tool, "Fail.")])

    assert (await workbench.call_tool(tool.__name__)).is_error


async def test_a_model_client_that_is_cancelled_from_inside_fails_the_turn_with_an_error() -> None:
    class Broken(ScriptedModel):
        async def create(self, *args: Any, **options: Any) -> CreateResult:
            await awaits_what_it_cancels()
            raise AssertionError

    with pytest.raises(RunError):
        await AssistantAgent("ada", Broken([])).run(task="go")


async def test_a_cancel_of_the_caller_while_a_tool_works_is_still_one() -> None:
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    agent = AssistantAgent("ada", ask("work"), tools=[work])
    running = asyncio.ensure_future(agent.run(task="go"))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def fine() -> str:
    return "fine"


async def test_a_tool_that_swallows_the_cancel_does_not_keep_the_run_going() -> None:
    started = asyncio.Event()

    async def stubborn() -> str:
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "went on"

    agent = AssistantAgent("ada", ask("stubborn"), tools=[stubborn])
    await cancel_during(lambda token: agent.run("go", cancellation_token=token), started)


class HangingModel(ScriptedModel):
    """A model that ignores cancellation tokens."""

    def __init__(self) -> None:
        super().__init__([])
        self.inside = Hanging()

    async def create(self, *args: Any, **options: Any) -> Any:
        await self.inside.hang()

    async def create_stream(self, *args: Any, **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - a generator
        yield "one "
        await self.inside.hang()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_cancel_ends_a_model_call(stream: bool) -> None:
    model = HangingModel()
    client: ChatCompletionClient = model
    agent = AssistantAgent("ada", client, model_client_stream=stream)
    await cancel_during(lambda token: agent.on_messages([HELLO], token), model.inside.started)
    assert model.inside.cancelled == 1


async def test_a_cancel_ends_a_memory_that_is_slow() -> None:
    class Slow(ListMemory):
        def __init__(self, inside: Hanging) -> None:
            super().__init__()
            self.inside = inside

        async def update_context(self, model_context: Any) -> UpdateContextResult:
            await self.inside.hang()
            raise AssertionError("not reached")

    inside = Hanging()
    agent = AssistantAgent("ada", ScriptedModel([]), memory=[Slow(inside)])
    await cancel_during(lambda token: agent.on_messages([HELLO], token), inside.started)


async def test_leaving_a_stream_early_ends_its_tools() -> None:
    tool = Hanging()
    inner = AssistantAgent("helper", ask("hang"), tools=[tool.hang])
    model = ScriptedModel([{"tool_calls": [{"name": "helper", "arguments": {"task": "x"}}]}])
    agent = AssistantAgent("ada", model, tools=[AgentTool(inner)])
    stream = agent.on_messages_stream([HELLO])
    kinds = [type(await anext(stream)).__name__ for _ in range(3)]
    assert kinds == ["ToolCallRequestEvent", "TextMessage", "ToolCallRequestEvent"]
    await tool.started.wait()
    await stream.aclose()
    assert tool.cancelled == 1
