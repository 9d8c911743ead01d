"""The tools of one agent: their schemas for the model, and the execution of calls."""

import asyncio
from asyncio import Queue, Task
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias, cast

from teamrun.agents.handoff import Handoff
from teamrun.core.cancel_scope import cancelled_by, is_failure_of_work
from teamrun.core.cancellation import CancellationToken
from teamrun.core.checks import checked_list
from teamrun.core.protocols import AnyMessage
from teamrun.core.saved import Loading, load_all
from teamrun.core.together import end_all
from teamrun.errors import FatalToolError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.arguments import read_arguments
from teamrun.messages.chat import BaseChatMessage
from teamrun.messages.events import BaseAgentEvent
from teamrun.messages.llm import FunctionCall, FunctionExecutionResult
from teamrun.messages.made import made_result
from teamrun.messages.path import mark_inside
from teamrun.messages.recordable import encodable
from teamrun.tools.approval import with_approval
from teamrun.tools.base import StreamTool, Tool
from teamrun.tools.function import FunctionTool
from teamrun.tools.result import ToolResult, error_text
from teamrun.tools.schema import ToolSchema
from teamrun.tools.workbench import (
    StaticStreamWorkbench,
    StaticWorkbench,
    StreamWorkbench,
    Workbench,
)

__all__ = ["AnyTool", "Report", "Toolset", "as_tools"]

AnyTool: TypeAlias = Tool | Callable[..., Any]
"""A tool, or a function from which a tool is created."""
Report: TypeAlias = Callable[[AnyMessage], None]
"""Takes a message that a tool reports while it works."""


def as_tools(tools: Sequence[AnyTool]) -> list[Tool]:
    """Make tools of functions, described by their docstrings.

    Raises:
        ValueError: Something is neither, or two go by the same name.
        TypeError: It is no list.
    """
    made: list[Tool] = []
    for tool in checked_list(tools, parameter="tools", expected="a list of tools and functions"):
        if isinstance(tool, Tool):
            made.append(with_approval(tool))
        elif callable(tool):
            made.append(FunctionTool(tool))
        else:
            raise ValueError(
                f"Unsupported tool type: {type(tool)}. tools takes functions and Tool objects."
            )
    names = [tool.name for tool in made]
    if len(set(names)) < len(names):
        raise ValueError(f"Tool names must be unique: {names}")
    return made


class Toolset:
    """Tools, workbenches and handoffs behind one table of names.

    Args:
        tools: The agent's own tools.
        workbenches: Asked for their tools before each model call, unless they are fixed.
        handoffs: Answered with their message; nothing is called.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        workbenches: Sequence[Workbench],
        handoffs: Mapping[str, Handoff],
    ) -> None:
        self._workbenches = tuple(workbenches)
        self._handoffs = handoffs
        self._handoff_schemas = tuple([each.tool_schema for each in handoffs.values()])
        self._before: dict[str, JsonMapping] = {}
        self._tools: dict[str, Tool] = {}
        self.replace(tools)
        if workbenches:
            self.known_schemas = None
        self._dynamic: tuple[Workbench, ...] = ()
        for workbench in workbenches:
            # By its exact class: a subclass may select its tools each time.
            if type(workbench) in (StaticWorkbench, StaticStreamWorkbench):
                fixed = cast("StaticWorkbench", workbench).tools_by_name
                self._tools = {**fixed, **self._tools}
                self._reporting = _reporting(self._tools)
            else:
                self._dynamic += (workbench,)
        self._may_report = any(isinstance(wb, StreamWorkbench) for wb in self._dynamic)

    def replace(self, tools: Sequence[Tool]) -> None:
        """Take other tools in place of the agent's own; it has no workbench then."""
        # Tuples: empty ones, as most are, take no memory.
        self._own = tuple([tool.schema for tool in tools])
        self._tools = {tool.name: tool for tool in tools}
        self._reporting = _reporting(self._tools) if tools else ()
        if self._before:
            self._before = {n: state for n, state in self._before.items() if n in self._reporting}
        self.known_schemas: Sequence[ToolSchema] | None = [*self._own, *self._handoff_schemas]
        """The result of `schemas` if it is always the same."""

    async def schemas(self) -> Sequence[ToolSchema]:
        """The tools that the model sees now, handoffs last."""
        schemas = list(self._own)
        for workbench in self._workbenches:
            schemas.extend(await workbench.list_tools())
        schemas += self._handoff_schemas
        if not self._dynamic:
            self.known_schemas = schemas
        return schemas

    def reports(self, calls: Sequence[FunctionCall]) -> bool:
        """Whether one of the calls may report messages while it works."""
        return self._may_report or any(call.name in self._reporting for call in calls)

    def end_turn(self) -> None:
        """Keep what agents and teams among the tools have done in the turn."""
        self._before = {}

    async def undo_turn(self) -> None:
        """Give agents and teams among the tools the state back that they had before the turn."""
        before, self._before = self._before, {}
        for name, state in before.items():
            await self._tools[name].load_state_json(state)

    async def reset(self) -> None:
        """Let agents and teams among the tools forget everything."""
        for name in self._reporting:
            await cast("StreamTool", self._tools[name]).reset()

    async def save_state(self) -> JsonObject:
        """The states of agents and teams among the tools, as of the beginning of the turn."""
        return {
            name: self._before[name]
            if name in self._before
            else await self._tools[name].save_state_json()
            for name in self._reporting
        }

    async def load_state(self, states: JsonMapping) -> None:
        """Continue from saved states; all of them, or none if one cannot be loaded."""
        known = [(self._tools[n], states[n]) for n in self._reporting if n in states]
        await load_all([Loading(t.save_state_json, t.load_state_json, s) for t, s in known])

    async def execute(
        self, calls: Sequence[FunctionCall], token: CancellationToken | None
    ) -> list[FunctionExecutionResult]:
        """Execute calls concurrently, without their progress; results are in their order.

        Raises:
            asyncio.CancelledError: The token was cancelled. Calls that were still running have
                been cancelled.
        """
        if len(calls) == 1:
            with cancelled_by(token):
                return [await self._execute(calls[0], token)]
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._execute(call, token)) for call in calls]
        try:
            with cancelled_by(token):
                return await asyncio.gather(*tasks)
        finally:
            await end_all(tasks)

    async def execute_reporting(
        self,
        calls: Sequence[FunctionCall],
        token: CancellationToken | None,
        results: list[FunctionExecutionResult],
    ) -> AsyncGenerator[AnyMessage, None]:
        """Execute calls concurrently; yields their events as they arrive.

        Args:
            calls: The calls that one answer of a model requests.
            token: Cancels the calls that have not completed.
            results: Filled with the results, in the order of the calls, at the end.

        Raises:
            asyncio.CancelledError: The token was cancelled. Calls that were still running have
                been cancelled.
        """
        loop = asyncio.get_running_loop()
        queue: Queue[AnyMessage | Task[FunctionExecutionResult]] = Queue()
        tasks = [loop.create_task(self._execute(call, token, queue.put_nowait)) for call in calls]
        for task in tasks:
            task.add_done_callback(queue.put_nowait)
        running = len(tasks)
        try:
            while running:
                with cancelled_by(token):
                    item = await queue.get()
                if isinstance(item, Task):
                    item.result()  # raises the task's exception
                    running -= 1
                else:
                    yield item
        finally:
            await end_all(tasks)
        results.extend(task.result() for task in tasks)

    async def _execute(
        self,
        call: FunctionCall,
        token: CancellationToken | None,
        report: Report | None = None,
    ) -> FunctionExecutionResult:
        try:
            arguments = read_arguments(call.arguments)
        except ValueError as error:
            return _result(call, f"Error: {error}", is_error=True)
        handoff = self._handoffs.get(call.name)
        if handoff is not None:
            return _result(call, handoff.message)
        caller = asyncio.current_task()
        try:
            return await self._carry_out(call, arguments, token, report)
        except FatalToolError:
            raise
        except BaseException as error:
            if not is_failure_of_work(error, token, caller=caller):
                raise
            return _result(call, error_text(error), is_error=True)

    async def _carry_out(
        self,
        call: FunctionCall,
        arguments: JsonMapping,
        token: CancellationToken | None,
        report: Report | None,
    ) -> FunctionExecutionResult:
        tool = self._tools.get(call.name)
        if tool is None:
            return await self._execute_elsewhere(call, arguments, token, report)
        if call.name in self._reporting and call.name not in self._before:
            self._before[call.name] = await tool.save_state_json()
        if report is not None and isinstance(tool, StreamTool):
            stream = tool.run_json_stream(arguments, token, call_id=call.id)
            value = await _last(stream, report, call.name)
        else:
            value = await tool.run_json(arguments, token, call_id=call.id)
        return _result(call, tool.return_value_as_string(value))

    async def _execute_elsewhere(
        self,
        call: FunctionCall,
        arguments: JsonMapping,
        token: CancellationToken | None,
        report: Report | None,
    ) -> FunctionExecutionResult:
        # By keyword, as AutoGen does: a class of the user's own may read `**kwargs`.
        asked: Any = {
            "name": call.name,
            "arguments": arguments,
            "cancellation_token": token,
            "call_id": call.id,
        }
        for workbench in self._dynamic:
            if all(schema["name"] != call.name for schema in await workbench.list_tools()):
                continue
            if report is not None and isinstance(workbench, StreamWorkbench):
                stream = workbench.call_tool_stream(**asked)
                result = cast("ToolResult", await _last(stream, report, call.name))
            else:
                result = await workbench.call_tool(**asked)
            return _result(call, result.to_text(), is_error=result.is_error)
        text = f"Error: tool '{call.name}' not found in any workbench"
        return _result(call, text, is_error=True)


def _reporting(tools: Mapping[str, Tool]) -> tuple[str, ...]:
    return tuple(sorted([name for name, tool in tools.items() if isinstance(tool, StreamTool)]))


def _result(call: FunctionCall, text: str, *, is_error: bool = False) -> FunctionExecutionResult:
    return made_result(encodable(text), name=call.name, call_id=call.id, is_error=is_error)


async def _last(stream: AsyncGenerator[Any, None], report: Report, tool: str) -> Any:
    """Report the messages of a stream at once, and return its last item, which is the value."""
    value: Any = None
    async with aclosing(stream):
        async for value in stream:
            if isinstance(value, BaseAgentEvent | BaseChatMessage):
                mark_inside(value, tool)
                report(value)
    return value
