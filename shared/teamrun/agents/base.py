"""The base class of agents."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Self, cast

from pydantic import BaseModel

from teamrun.core.agent_state import AgentState
from teamrun.core.cancellation import CancellationToken
from teamrun.core.checks import checked_instance, checked_list
from teamrun.core.component.base import ComponentBase
from teamrun.core.emission import Emit, ignore
from teamrun.core.protocols import AnyMessage, Response, Task, TaskResult
from teamrun.core.readable import readable
from teamrun.errors import AgentFailed
from teamrun.json_types import JsonMapping
from teamrun.messages.chat import BaseChatMessage, TextMessage
from teamrun.messages.events import ModelClientStreamingChunkEvent

if TYPE_CHECKING:
    from teamrun.agents.lifecycle import Hook, Moment

__all__ = ["BaseChatAgent", "checked_response", "emitted", "last_response", "messages_of_task"]


class BaseChatAgent(ComponentBase[BaseModel], ABC):
    """An agent of a conversation: subclass it and write `on_messages`.

    An agent keeps its conversation. It is called with the messages since its last turn.

    Args:
        name: A Python identifier, unique in a team.
        description: The agent's purpose.

    Raises:
        ValueError: The name is no identifier.
    """

    def __init__(self, name: str, description: str) -> None:
        checked_instance(name, str, parameter="name", expected="a text")
        if not name.isidentifier():
            raise ValueError(f"The agent name must be a valid Python identifier, not {name!r}.")
        self._name = name
        self._description = description

    _lifecycle = AgentState.CREATED

    @readable
    def state(self) -> AgentState:
        """What the agent is doing."""
        return self._lifecycle

    def on_initialized(self, hook: Callable[[], object] | Callable[[Self], object]) -> Self:
        """Call a function before the first turn, with the agent.

        This and the three methods below take any number of functions, async or not, with or
        without a parameter. A function's exception ends the turn.
        """
        return self._hooked("initialized", hook)

    def on_message(self, hook: Callable[[], object] | Callable[[BaseChatMessage], object]) -> Self:
        """Call a function with each new message, at the beginning of a turn."""
        return self._hooked("message", hook)

    def on_error(self, hook: Callable[[], object] | Callable[[Exception], object]) -> Self:
        """Call a function with the exception that ends a turn; it is raised afterwards."""
        return self._hooked("error", hook)

    def on_complete(self, hook: Callable[[], object] | Callable[[Response], object]) -> Self:
        """Call a function with the `Response` of each turn."""
        return self._hooked("complete", hook)

    def _hooked(self, moment: "Moment", hook: "Hook") -> Self:
        # Imported late: few agents are watched.
        from teamrun.agents.lifecycle import watched

        watched(self).add(moment, hook)
        return self

    def add_instructions(self, text: str) -> bool:
        """Add a text to the system message; False: the agent has none for a model."""
        return False

    @contextmanager
    def _taking_turn(self) -> Generator[None]:
        self._lifecycle = AgentState.RUNNING
        try:
            yield
            self._lifecycle = AgentState.COMPLETED
        except Exception:
            self._lifecycle = AgentState.ERROR
            raise

    @property
    def name(self) -> str:
        """Unique in a team."""
        return self._name

    @property
    def description(self) -> str:
        """The agent's purpose, as other agents and selecting models read it."""
        return self._description

    @property
    @abstractmethod
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The classes that its chat messages may have."""

    @abstractmethod
    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        """Respond to new messages, those since the last call."""

    async def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        """Respond to new messages; yields inner messages, the `Response` last."""
        answer = await self.on_messages(messages, cancellation_token or CancellationToken())
        response = checked_response(answer, agent=self._name)
        for message in response.inner_messages or ():
            yield message
        yield response

    async def on_messages_emit(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None,
        emit: Emit[AnyMessage],
    ) -> Response | None:
        """Do the same as `on_messages_stream` for a caller that awaits the response, as teams do.

        Override `on_messages_stream` instead, which this calls.
        """
        with self._taking_turn():
            return await emitted(self.on_messages_stream(messages, cancellation_token), emit)

    @abstractmethod
    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Clear the conversation."""

    async def on_pause(self, cancellation_token: CancellationToken | None = None) -> None:
        """The team is paused while this agent works."""

    async def on_resume(self, cancellation_token: CancellationToken | None = None) -> None:
        """The team was resumed."""

    async def save_state(self) -> JsonMapping:
        """What `load_state` needs to continue, as JSON data."""
        return {"type": "BaseState", "version": "1.0.0"}

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from the result of `save_state`."""

    async def close(self) -> None:
        """Release resources."""

    async def run(
        self,
        task: Task | None = None,
        *,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> TaskResult:
        """Answer a task.

        Args:
            task: A text, a message or several; None lets the agent speak without a new one.
            cancellation_token: Ends the run with `CancelledError`.
            output_task_messages: Include the task in the result.

        Raises:
            ValueError: The list is empty, or contains something other than messages.
        """
        heard = messages_of_task(task)
        with self._taking_turn():
            answer = await self.on_messages(heard, cancellation_token or CancellationToken())
            response = checked_response(answer, agent=self._name)
        produced: list[AnyMessage] = [*heard] if output_task_messages else []
        produced.extend(
            message
            for message in response.inner_messages or ()
            if not isinstance(message, ModelClientStreamingChunkEvent)
        )
        return TaskResult(messages=[*produced, response.chat_message])

    async def run_stream(
        self,
        task: Task | None = None,
        *,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> AsyncGenerator[AnyMessage | TaskResult, None]:
        """Answer a task; yields the task, what the agent does, its answer, and the `TaskResult`.

        Args:
            task: A text, a message or several; None lets the agent speak without a new one.
            cancellation_token: Ends the run with `CancelledError`.
            output_task_messages: Yield the task and include it in the result.

        Raises:
            ValueError: The list is empty, or contains something other than messages.
        """
        heard = messages_of_task(task)
        produced: list[AnyMessage] = []
        if output_task_messages:
            for message in heard:
                produced.append(message)
                yield message
        token = cancellation_token or CancellationToken()
        async with aclosing(self.on_messages_stream(heard, token)) as items:
            async for item in items:
                message = item.chat_message if isinstance(item, Response) else item
                if not isinstance(message, ModelClientStreamingChunkEvent):
                    produced.append(message)
                yield message
        yield TaskResult(messages=produced)


async def emitted(
    turn: AsyncGenerator[AnyMessage | Response, None], emit: Emit[AnyMessage]
) -> Response | None:
    """Emit the messages of a turn; returns its `Response`, or None if there was none."""
    response: Response | None = None
    async with aclosing(turn):
        async for item in turn:
            if isinstance(item, Response):
                response = item
            else:
                await emit(item)
    return response


async def last_response(turn: AsyncGenerator[AnyMessage | Response, None]) -> Response:
    """Let a turn go on to its end, and return the `Response` that it yields last."""
    response = await emitted(turn, ignore)
    assert response is not None  # a turn ends with it
    return response


def checked_response(response: object, *, agent: str) -> Response:
    """The response of an agent of any class.

    Raises:
        AgentFailed: It is not a `Response` with a chat message.
    """
    if not isinstance(response, Response):
        raise AgentFailed(
            f"on_messages of agent {agent!r} returned {type(response).__name__}, not a Response. "
            "Return Response(chat_message=TextMessage(content=..., source=self.name))."
        )
    message = cast("object", response.chat_message)
    if not isinstance(message, BaseChatMessage):
        raise AgentFailed(
            f"The Response of agent {agent!r} has a chat_message of type "
            f"{type(message).__name__}, not a chat message such as TextMessage."
        )
    return response


def messages_of_task(task: Task | None) -> list[BaseChatMessage]:
    """The messages of a task.

    Raises:
        ValueError: It is an empty list, or contains something other than chat messages.
        TypeError: It is not a text, a message or a list.
    """
    if task is None:
        return []
    if isinstance(task, str):
        return [TextMessage(content=task, source="user")]
    if isinstance(task, BaseChatMessage):
        return [task]
    messages = checked_list(
        task, parameter="task", expected="a text, a message or a list of messages"
    )
    if not messages:
        raise ValueError("Task list cannot be empty.")
    for message in messages:
        if not isinstance(message, BaseChatMessage):
            raise ValueError(
                f"Invalid message type in task list: {type(message).__name__}. A list contains "
                'messages, such as TextMessage(content="...", source="user").'
            )
    return messages
