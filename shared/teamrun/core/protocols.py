"""What agents, teams and conditions promise each other.

Above this seam: AgentTool and TeamTool, teams, and everything that runs one of them. Below
it: `agents/`, `teams/`, `conditions/`, and classes of the user's own.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel, SerializeAsAny

from teamrun.core.cancellation import CancellationToken
from teamrun.messages.chat import BaseChatMessage, StopMessage
from teamrun.messages.events import BaseAgentEvent

__all__ = [
    "AnyMessage",
    "ChatAgent",
    "Response",
    "Task",
    "TaskResult",
    "TaskRunner",
    "Team",
    "TerminationCondition",
]

AnyMessage: TypeAlias = BaseAgentEvent | BaseChatMessage
"""What a run produces."""
Task: TypeAlias = str | BaseChatMessage | Sequence[BaseChatMessage]
"""What a run is asked to do: a text, a message, or several messages."""


@dataclass(slots=True, kw_only=True)
class Response:
    """An agent's answer; `str(response)` is the text of its chat message."""

    chat_message: BaseChatMessage
    """The answer; what the other agents hear."""
    inner_messages: Sequence[AnyMessage] | None = None
    """What the agent did on the way to it, in order."""

    def __str__(self) -> str:
        return self.chat_message.to_text()


class TaskResult(BaseModel, defer_build=True):
    """The result of running a task."""

    messages: Sequence[SerializeAsAny[BaseAgentEvent] | SerializeAsAny[BaseChatMessage]]
    """Everything that was produced, in order; the task first."""
    stop_reason: str | None = None
    """Why it stopped, where somebody stopped it."""


@runtime_checkable
class TaskRunner(Protocol):
    """Something that a task can be given to."""

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
    """One participant of a conversation; it keeps what it heard and is told only what is new."""

    @property
    def name(self) -> str:
        """Unique in a team; a Python identifier."""
        ...

    @property
    def description(self) -> str:
        """What the agent is good for, as other agents and selecting models read it."""
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
        """Answer what is new since the last call."""
        ...

    def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        """Answer what is new since the last call; yields inner messages, the `Response` last."""
        ...

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Forget everything heard and said."""
        ...

    async def on_pause(self, cancellation_token: CancellationToken) -> None:
        """The team is paused while this agent works."""
        ...

    async def on_resume(self, cancellation_token: CancellationToken) -> None:
        """The team goes on."""
        ...

    async def save_state(self) -> Mapping[str, Any]:
        """What `load_state` needs to continue, as JSON data."""
        ...

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `save_state` gave."""
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
        """What the team is good for."""
        ...

    async def reset(self) -> None:
        """Forget everything heard and said."""
        ...

    async def pause(self) -> None:
        """Tell the participants that the team is paused."""
        ...

    async def resume(self) -> None:
        """Tell the participants that the team goes on."""
        ...

    async def save_state(self) -> Mapping[str, Any]:
        """What `load_state` needs to continue, as JSON data."""
        ...

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `save_state` gave."""
        ...


@runtime_checkable
class TerminationCondition(Protocol):
    """Decides from the messages of a run when it ends."""

    @property
    def terminated(self) -> bool:
        """Whether the condition has been met since the last reset."""
        ...

    async def __call__(self, messages: Sequence[AnyMessage]) -> StopMessage | None:
        """Look at what is new; a message that says why, where the run should end."""
        ...

    async def reset(self) -> None:
        """Begin anew."""
        ...
