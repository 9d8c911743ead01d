"""The seam to tools.

Above it: agents and workbenches, which know only `Tool`. Below it: `function.py` (Python
functions), `agent_tool.py` (agents and teams as tools), and custom classes. In a
run the engine puts a journaling `Tool` around each one that reaches outside.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel

from teamrun.core import event_log
from teamrun.core.cancellation import CancellationToken
from teamrun.core.component.base import ComponentBase
from teamrun.json_types import JsonMapping
from teamrun.tools.arguments import checked_arguments, parameters_of
from teamrun.tools.context import ToolContext
from teamrun.tools.results import result_text
from teamrun.tools.schema import ToolSchema

__all__ = [
    "BaseStreamTool",
    "BaseTool",
    "BaseToolWithState",
    "Effects",
    "OnLost",
    "OnUnknown",
    "Session",
    "StreamTool",
    "Tool",
]

ArgsT = TypeVar("ArgsT", bound=BaseModel)
ReturnT = TypeVar("ReturnT")
StreamT = TypeVar("StreamT")
StateT = TypeVar("StateT", bound=BaseModel)


Effects: TypeAlias = Literal["none", "idempotent", "write"]
"""Side effects of a call: none, idempotent, or not repeatable."""

OnUnknown: TypeAlias = Literal["tell", "ask", "fail"]
"""Action if a worker was lost during a `write` call: inform the agent, ask a person, or fail the
run."""

Session: TypeAlias = Literal["stateless", "stateful"]
"""Whether a call needs what earlier calls left behind in this process: an open page, a login."""

OnLost: TypeAlias = Literal["tell", "fail"]
"""Action if a run continued in another worker and lost a `stateful` session: inform the agent and
begin a new session with the next call, or fail the run."""


class Tool(ComponentBase[BaseModel], ABC):
    """Something that a model can call by name with JSON arguments."""

    name: str
    description: str
    effects: Effects = "none"
    """A `write` call of a run is never simply repeated after a crash; others are."""
    on_unknown: OnUnknown = "tell"
    session: Session = "stateless"
    """All `stateful` tools of an agent share one session of a run."""
    on_lost: OnLost = "tell"
    needs_approval: bool = False
    """Whether a person has to agree to each call in a run."""
    tags: Collection[str] = ()
    """By which programs find it; see `Capabilities`."""

    def __init__(self, name: str, description: str) -> None:
        self.name = name
        self.description = description

    @property
    @abstractmethod
    def schema(self) -> ToolSchema:
        """The tool as a model sees it."""

    @abstractmethod
    async def run_json(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
        context: ToolContext | None = None,
    ) -> Any:
        """Call the tool.

        Args:
            args: The arguments as JSON data; they are checked here.
            cancellation_token: Cancels the call.
            call_id: The model's id of this call.
            context: State, files and progress; by default the tool creates one.

        Raises:
            Exception: Any; the model is given its text.
        """

    def return_value_as_string(self, value: Any) -> str:
        """What `run_json` returned, as text for a model; see `tools.results.result_text`.

        Raises:
            ToolError: The value cannot be written as text.
        """
        return result_text(value, tool=self.name)

    def state_type(self) -> type[BaseModel] | None:
        """The class of the tool's state; None if it has none of its own."""
        return None

    async def save_state_json(self) -> JsonMapping:
        """What `load_state_json` needs to continue; nothing for a tool without state."""
        return {}

    async def load_state_json(self, state: JsonMapping) -> None:
        """Continue from the result of `save_state_json`."""


class StreamTool(Tool):
    """A tool that reports messages while it works, such as an agent."""

    async def reset(self) -> None:
        """Forget what earlier calls have left."""

    @abstractmethod
    def run_json_stream(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Call the tool; yields its events, then the value that `run_json` returns.

        A message is passed on at once; the value is the last item.
        """

    async def run_json(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
        context: ToolContext | None = None,
    ) -> Any:
        """Call the tool and keep only the value."""
        value: Any = None
        async for value in self.run_json_stream(args, cancellation_token, call_id=call_id):  # noqa: B007 - the last one is the value
            pass
        return value


class BaseTool(Tool, Generic[ArgsT, ReturnT]):
    """A tool as a class: subclass it and write `run`, which gets checked arguments."""

    def __init__(
        self,
        args_type: type[ArgsT],
        return_type: type[ReturnT],
        name: str,
        description: str,
        strict: bool = False,
    ) -> None:
        super().__init__(name, description)
        self._args_type = args_type
        self._return_type = return_type
        self._schema = ToolSchema(
            name=name,
            description=description,
            parameters=parameters_of(args_type, strict=strict),
            strict=strict,
        )

    @property
    def schema(self) -> ToolSchema:
        """The tool as a model sees it."""
        return self._schema

    def args_type(self) -> type[ArgsT]:
        """The class that the arguments are checked with."""
        return self._args_type

    def return_type(self) -> type[Any]:
        """The class of what `run` returns."""
        return self._return_type

    @abstractmethod
    async def run(self, args: ArgsT, cancellation_token: CancellationToken) -> ReturnT:
        """Do the work."""

    async def run_json(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
        context: ToolContext | None = None,
    ) -> Any:
        """Check the arguments and call `run`.

        Raises:
            ToolError: The arguments do not fit.
        """
        checked = checked_arguments(self._args_type, args, tool=self.name)
        value = await self.run(checked, cancellation_token or CancellationToken())
        if event_log.is_wanted():
            event_log.log_tool_call(self.name, args, self.return_value_as_string(value))
        return value


class BaseToolWithState(BaseTool[ArgsT, ReturnT], Generic[ArgsT, ReturnT, StateT]):
    """A tool as a class with state, which a workbench saves and loads."""

    def __init__(
        self,
        args_type: type[ArgsT],
        return_type: type[ReturnT],
        state_type: type[StateT],
        name: str,
        description: str,
    ) -> None:
        super().__init__(args_type, return_type, name, description)
        self._state_type = state_type

    def state_type(self) -> type[StateT]:
        """The class of the state."""
        return self._state_type

    @abstractmethod
    def save_state(self) -> StateT:
        """The state."""

    @abstractmethod
    def load_state(self, state: StateT) -> None:
        """Continue from that state."""

    async def save_state_json(self) -> JsonMapping:
        """The state as JSON data."""
        return self.save_state().model_dump(mode="json")

    async def load_state_json(self, state: JsonMapping) -> None:
        """Continue from that state."""
        self.load_state(self._state_type.model_validate(state))


class BaseStreamTool(BaseTool[ArgsT, ReturnT], StreamTool, Generic[ArgsT, StreamT, ReturnT]):
    """A tool as a class that reports while it works: write `run_stream`, and `run`."""

    @abstractmethod
    def run_stream(
        self, args: ArgsT, cancellation_token: CancellationToken
    ) -> AsyncGenerator[StreamT | ReturnT, None]:
        """Do the work; yields what it reports, then what `run` returns."""

    async def run_json_stream(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Check the arguments and call `run_stream`.

        Raises:
            ToolError: The arguments do not fit.
        """
        checked = checked_arguments(self._args_type, args, tool=self.name)
        stream = self.run_stream(checked, cancellation_token or CancellationToken())
        async with aclosing(stream) as items:
            async for item in items:
                yield item
