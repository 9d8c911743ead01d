"""Agents and teams as tools of another agent.

They are run code, not outside calls: in a run only the model and tool calls inside them are
recorded. An agent or team keeps its conversation from call to call, and does one task at a
time: parallel calls of the same one happen one after the other.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import cache
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, Field

from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import AnyMessage, ChatAgent, TaskResult, TaskRunner, Team
from teamrun.json_types import JsonMapping
from teamrun.messages.chat import BaseChatMessage
from teamrun.tools.arguments import checked_arguments, parameters_of
from teamrun.tools.base import StreamTool
from teamrun.tools.exclusive import Exclusive
from teamrun.tools.schema import ParametersSchema, ToolSchema

__all__ = ["AgentTool", "TaskRunnerTool", "TaskRunnerToolArgs", "TeamTool"]


class TaskRunnerToolArgs(BaseModel, defer_build=True):
    """The arguments of an agent or team as a tool."""

    task: str = Field(description="The task to be executed.")


@runtime_checkable
class _Saved(Protocol):
    async def save_state(self) -> JsonMapping: ...

    async def load_state(self, state: JsonMapping) -> None: ...


@cache
def _parameters() -> ParametersSchema:
    return parameters_of(TaskRunnerToolArgs, strict=True)


class TaskRunnerTool(StreamTool):
    """Something that runs tasks, as a tool.

    Args:
        task_runner: The agent or team.
        name: The tool's name for the outer model.
        description: The description for the outer model.
        return_value_as_last_message: The result is the last message alone, instead of all
            chat messages with the names of their sources.
    """

    def __init__(
        self,
        task_runner: TaskRunner,
        name: str,
        description: str,
        return_value_as_last_message: bool = False,
    ) -> None:
        super().__init__(name, description)
        self._task_runner = task_runner
        self._exclusive = Exclusive.of(task_runner, name)
        self._last_only = return_value_as_last_message
        self._schema = ToolSchema(
            name=name, description=description, parameters=_parameters(), strict=True
        )

    @property
    def task_runner(self) -> TaskRunner:
        """The agent or team."""
        return self._task_runner

    def with_runner(self, runner: TaskRunner) -> "TaskRunnerTool":
        """The same tool around another agent or team."""
        made = TaskRunnerTool(runner, self.name, self.description, self._last_only)
        made.needs_approval = self.needs_approval
        return made

    @property
    def schema(self) -> ToolSchema:
        """The tool as a model sees it."""
        return self._schema

    async def run_json_stream(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Run the task; yields the task and each message, then the `TaskResult`."""
        checked = checked_arguments(TaskRunnerToolArgs, args, tool=self.name)
        async with aclosing(self.run_stream(checked, cancellation_token)) as stream:
            async for item in stream:
                yield item

    async def run(
        self, args: TaskRunnerToolArgs, cancellation_token: CancellationToken | None = None
    ) -> TaskResult:
        """Run the task with arguments that have been checked."""
        async with self._exclusive.entered(cancellation_token):
            with self._exclusive.inside():
                return await self._task_runner.run(args.task, cancellation_token=cancellation_token)

    async def run_stream(
        self, args: TaskRunnerToolArgs, cancellation_token: CancellationToken | None = None
    ) -> AsyncGenerator[AnyMessage | TaskResult, None]:
        """Run the task; yields the task and each message, then the `TaskResult`."""
        async with self._exclusive.entered(cancellation_token):
            stream = self._task_runner.run_stream(args.task, cancellation_token=cancellation_token)
            async with aclosing(stream):
                while True:
                    with self._exclusive.inside():  # the caller shares the context
                        item = await anext(stream, None)
                    if item is None:
                        return
                    yield item

    def args_type(self) -> type[TaskRunnerToolArgs]:
        """The class that the arguments are checked with."""
        return TaskRunnerToolArgs

    def return_type(self) -> type[TaskResult]:
        """The class of what `run` returns."""
        return TaskResult

    async def save_state_json(self) -> JsonMapping:
        """The state of the agent or team."""
        runner = self._task_runner
        return await runner.save_state() if isinstance(runner, _Saved) else {}

    async def load_state_json(self, state: JsonMapping) -> None:
        """Let the agent or team continue from that state."""
        if state and isinstance(self._task_runner, _Saved):
            await self._task_runner.load_state(state)

    async def reset(self) -> None:
        """Clear the conversation of the agent or team."""
        match self._task_runner:
            case ChatAgent() as agent:
                await agent.on_reset(CancellationToken())
            case Team() as team:
                await team.reset()
            case _:
                pass

    def return_value_as_string(self, value: Any) -> str:
        """The chat messages as `source: text`, or the last of them."""
        if not isinstance(value, TaskResult):
            return str(value)
        if self._last_only:
            last = value.messages[-1] if value.messages else None
            return last.to_model_text() if isinstance(last, BaseChatMessage) else ""
        return "\n\n".join(
            f"{message.source}: {message.to_model_text()}"
            for message in value.messages
            if isinstance(message, BaseChatMessage) and message.source != "user"
        )


class AgentTool(TaskRunnerTool):
    """An agent as a tool, under its own name and description."""

    def __init__(self, agent: ChatAgent, return_value_as_last_message: bool = False) -> None:
        super().__init__(agent, agent.name, agent.description, return_value_as_last_message)


class TeamTool(TaskRunnerTool):
    """A team as a tool."""

    def __init__(
        self,
        team: Team,
        name: str,
        description: str,
        return_value_as_last_message: bool = False,
    ) -> None:
        super().__init__(team, name, description, return_value_as_last_message)
