"""Tools that belong together, share state, and may change while an agent works."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, cast

from pydantic import BaseModel

from teamrun.core.cancel_scope import cancelled_by, is_failure_of_work
from teamrun.core.cancellation import CancellationToken
from teamrun.core.component.base import ComponentBase
from teamrun.core.saved import Loading, load_all
from teamrun.errors import FatalToolError
from teamrun.json_types import JsonMapping
from teamrun.messages.chat import BaseMessage
from teamrun.tools.approval import with_approval
from teamrun.tools.base import StreamTool, Tool
from teamrun.tools.result import ToolResult, error_text, text_result
from teamrun.tools.schema import ToolSchema

__all__ = [
    "StaticStreamWorkbench",
    "StaticWorkbench",
    "StreamWorkbench",
    "ToolOverride",
    "Workbench",
]


class ToolOverride(BaseModel, defer_build=True):
    """How a workbench presents one of its tools."""

    name: str | None = None
    description: str | None = None


class Workbench(ComponentBase[BaseModel], ABC):
    """A set of tools that may share resources; `async with` starts and stops it."""

    @abstractmethod
    async def list_tools(self) -> Sequence[ToolSchema]:
        """The tools there are now; agents ask before each model call."""

    @abstractmethod
    async def call_tool(
        self,
        name: str,
        arguments: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """Call a tool; an exception becomes a result with `is_error`."""

    async def start(self) -> None:
        """Acquire resources."""

    async def stop(self) -> None:
        """Release resources."""

    async def reset(self) -> None:
        """Go back to the beginning."""

    async def save_state(self) -> JsonMapping:
        """What `load_state` needs to continue, as JSON data."""
        return {}

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from the result of `save_state`."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()


class StreamWorkbench(Workbench):
    """A workbench whose tools may report messages while they work."""

    @abstractmethod
    def call_tool_stream(
        self,
        name: str,
        arguments: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Call a tool; yields its events, then the `ToolResult`."""


class StaticWorkbench(Workbench):
    """A fixed list of tools.

    Args:
        tools: The tools.
        tool_overrides: Other names or descriptions, by the tools' own names.

    Raises:
        ValueError: Two tools go by the same name, or an override is for a tool that is not there.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        tool_overrides: Mapping[str, ToolOverride] | None = None,
    ) -> None:
        self._tool_overrides = dict(tool_overrides or {})
        overrides = dict(self._tool_overrides)
        self._tools = list(tools)
        self._by_name: dict[str, Tool] = {}
        self._schemas: list[ToolSchema] = []
        for tool in tools:
            schema = _presented(tool, overrides.pop(tool.name, None))
            if schema["name"] in self._by_name:
                raise ValueError(f"Tool names must be unique: {[tool.name for tool in tools]}")
            self._by_name[schema["name"]] = with_approval(tool)
            self._schemas.append(schema)
        self._own_names = {tool.name: tool for tool in self._by_name.values()}
        if overrides:
            raise ValueError(
                f"tool_overrides names tools that are not there: {sorted(overrides)}; "
                f"there are {[tool.name for tool in tools]}"
            )

    @property
    def tools(self) -> Sequence[Tool]:
        """The tools themselves."""
        return self._tools

    @property
    def tool_overrides(self) -> Mapping[str, ToolOverride]:
        """Other names or descriptions, by the tools' own names."""
        return self._tool_overrides

    @property
    def tools_by_name(self) -> Mapping[str, Tool]:
        """The tools themselves, by the names that they go by here."""
        return self._by_name

    async def list_tools(self) -> Sequence[ToolSchema]:
        """The tools, by the names and descriptions that they go by here."""
        return self._schemas

    async def call_tool(
        self,
        name: str,
        arguments: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """Call a tool; an exception becomes a result with `is_error`."""
        tool = self._by_name.get(name) or self._own_names.get(name)
        if tool is None:
            return text_result(name, f"Tool {name} not found.", is_error=True)
        caller = asyncio.current_task()
        with cancelled_by(cancellation_token):
            try:
                value = await tool.run_json(arguments or {}, cancellation_token, call_id=call_id)
                return text_result(name, tool.return_value_as_string(value))
            except FatalToolError:
                raise
            except BaseException as error:
                if not is_failure_of_work(error, cancellation_token, caller=caller):
                    raise
                return text_result(name, error_text(error), is_error=True)

    async def save_state(self) -> JsonMapping:
        """The state of each tool by its own name."""
        tools = {tool.name: dict(await tool.save_state_json()) for tool in self._tools}
        return {"type": "StaticWorkbenchState", "tools": tools}

    async def load_state(self, state: JsonMapping) -> None:
        """Give each tool its state; if one cannot take it, all keep the state that they had."""
        states = state["tools"]
        await load_all(
            [
                Loading(tool.save_state_json, tool.load_state_json, states[tool.name])
                for tool in self._tools
                if tool.name in states
            ]
        )


class StaticStreamWorkbench(StaticWorkbench, StreamWorkbench):
    """A fixed list of tools, of which some report messages while they work."""

    async def call_tool_stream(
        self,
        name: str,
        arguments: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Call a tool; yields its events, then the `ToolResult`."""
        tool = self._by_name.get(name) or self._own_names.get(name)
        if not isinstance(tool, StreamTool):
            yield await self.call_tool(name, arguments, cancellation_token, call_id)
            return
        value: Any = None
        held: list[Any] = []  # an item that is no message may be the last one, which is the value
        try:
            stream = tool.run_json_stream(arguments or {}, cancellation_token, call_id=call_id)
            async with aclosing(stream):
                async for value in stream:
                    if held:
                        yield held.pop()
                    if isinstance(value, BaseMessage):
                        yield value
                    else:
                        held.append(value)
            result = text_result(name, tool.return_value_as_string(value))
        except FatalToolError:
            raise
        except BaseException as error:
            if not is_failure_of_work(error, cancellation_token):
                raise
            result = text_result(name, error_text(error), is_error=True)
        yield result


def _presented(tool: Tool, override: ToolOverride | None) -> ToolSchema:
    schema = tool.schema
    if override is None:
        return schema
    changes = override.model_dump(exclude_none=True)
    return cast("ToolSchema", {**schema, **changes})
