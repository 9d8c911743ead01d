"""The protocols of agents, teams and conditions.

Above this seam: AgentTool and TeamTool, teams, and everything that runs one of them. Below it:
`agents/`, `teams/`, `conditions/`, and custom classes of users.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel

from teamrun.core.cancellation import CancellationToken
from teamrun.json_types import JsonMapping
from teamrun.messages.chat import BaseChatMessage, StopMessage
from teamrun.messages.events import BaseAgentEvent
from teamrun.messages.serialized import ByItsClass

__all__ = [
    "AnyMessage",
    "ChatAgent",
    "InputFunc",
    "Response",
    "Task",
    "TaskResult",
    "TaskRunner",
    "Team",
    "TerminationCondition",
]

AnyMessage: TypeAlias = BaseAgentEvent | BaseChatMessage
"""An item that a run produces."""
Task: TypeAlias = str | BaseChatMessage | Sequence[BaseChatMessage]
"""The task of a run: a text, a message, or several messages."""
InputFunc: TypeAlias = (
    Callable[[str], str]
    | Callable[[str], Awaitable[str]]
    | Callable[[str, CancellationToken | None], Awaitable[str]]
)
"""Takes a prompt, and an async function also the token; returns the person's answer."""


@dataclass(slots=True, kw_only=True)
class Response:
    """An agent's answer; `str(response)` is the text of its chat message.

    It is sliced and added to texts as its text is: `response[:100]`, `"Answer: " + response`.
    """

    chat_message: BaseChatMessage
    """The answer, which the other agents receive."""
    inner_messages: Sequence[AnyMessage] | None = None
    """The agent's intermediate messages and events, in order."""

    def __str__(self) -> str:
        return self.chat_message.to_text()

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __contains__(self, text: str) -> bool:
        return text in str(self)

    def __getitem__(self, part: slice) -> str:
        # Only slices: with indices, Python would take the response for a sequence.
        if not isinstance(part, slice):  # pyright: ignore[reportUnnecessaryIsInstance] - untyped callers
            raise TypeError("A Response has slices of its text, not items; use str(response).")
        return str(self)[part]

    def __add__(self, text: str) -> str:
        return str(self) + text

    def __radd__(self, text: str) -> str:
        return text + str(self)


class TaskResult(BaseModel, defer_build=True):
    """The result of running a task."""

    messages: Sequence[Annotated[AnyMessage, ByItsClass()]]
    """All messages and events, in order, starting with the task."""
    stop_reason: str | None = None
    """Why the run stopped, if a condition or a limit stopped it."""


@runtime_checkable
class TaskRunner(Protocol):
    """Something that can work on a task."""

    async def run(
        self,
        task: Task | None = None,
        *,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> TaskResult:
        """Work on the task until done."""
        ...

    def run_stream(
        self,
        task: Task | None = None,
        *,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> AsyncGenerator[AnyMessage | TaskResult, None]:
        """Work on the task; yields each message as it is produced, the `TaskResult` last."""
        ...


@runtime_checkable
class ChatAgent(TaskRunner, Protocol):
    """A participant of a conversation; it keeps the history and receives only new messages."""

    @property
    def name(self) -> str:
        """Unique in a team; a Python identifier."""
        ...

    @property
    def description(self) -> str:
        """The agent's purpose, for other agents and for models that select a speaker."""
        ...

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The classes that its chat messages may have."""
        ...

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        """Answer the messages that are new since the last call."""
        ...

    def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        """Answer the new messages; yields inner messages, then the `Response`."""
        ...

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Clear the history and all other state."""
        ...

    async def on_pause(self, cancellation_token: CancellationToken) -> None:
        """Called when the team is paused while this agent works."""
        ...

    async def on_resume(self, cancellation_token: CancellationToken) -> None:
        """Called when the team is resumed."""
        ...

    async def save_state(self) -> JsonMapping:
        """What `load_state` needs to continue, as JSON data."""
        ...

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from the result of `save_state`."""
        ...

    async def close(self) -> None:
        """Release resources."""
        ...


@runtime_checkable
class Team(TaskRunner, Protocol):
    """Agents that work on one task together."""

    @property
    def name(self) -> str:
        """Unique among the participants of an outer team."""
        ...

    @property
    def description(self) -> str:
        """The team's purpose."""
        ...

    async def reset(self) -> None:
        """Clear the history and all other state."""
        ...

    async def pause(self) -> None:
        """Notify the participants that the team is paused."""
        ...

    async def resume(self) -> None:
        """Notify the participants that the team is resumed."""
        ...

    async def save_state(self) -> JsonMapping:
        """What `load_state` needs to continue, as JSON data."""
        ...

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from the result of `save_state`."""
        ...


@runtime_checkable
class TerminationCondition(Protocol):
    """Decides from the messages of a run when it ends."""

    @property
    def terminated(self) -> bool:
        """Whether the condition has been met since the last reset."""
        ...

    async def __call__(self, messages: Sequence[AnyMessage]) -> StopMessage | None:
        """Check the new messages; returns a message with the reason if the run should end."""
        ...

    async def reset(self) -> None:
        """Reset the condition for a new run."""
        ...
