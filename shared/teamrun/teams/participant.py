"""A member of a team, agent or nested team, with the messages for its next turn."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

from teamrun import teams
from teamrun.agents.base import BaseChatAgent, emitted
from teamrun.core.agent_state import AgentState
from teamrun.core.cancellation import CancellationToken
from teamrun.core.emission import Emit
from teamrun.core.protocols import AnyMessage, ChatAgent, Response, TaskResult, Team
from teamrun.core.saved import read_all, read_state
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    MessageFactory,
    ModelClientStreamingChunkEvent,
    RequestUsage,
)
from teamrun.messages.path import mark_inside
from teamrun.teams.run_record import is_turn_taken_again, turn_taken_again

__all__ = ["Participant", "Turn", "participant"]

_Item = TypeVar("_Item", bound=AnyMessage | Response | TaskResult)


class Turn(NamedTuple):
    """The messages that one turn added to the conversation."""

    delta: Sequence[AnyMessage]
    """For the thread and the termination condition."""
    messages: Sequence[BaseChatMessage]
    """For the other participants."""
    closing: BaseChatMessage | None
    """The message that ends the turn, unless it was already yielded."""


@runtime_checkable
class _Records(Protocol):
    def messages_of_run(self) -> Sequence[AnyMessage]: ...


@runtime_checkable
class _Nests(Protocol):
    def become_nested(self) -> None: ...


@runtime_checkable
class _Selects(Protocol):
    def take_unseen_usage(self) -> RequestUsage | None: ...


@runtime_checkable
class _Reopens(Protocol):
    async def reopen(self, speaker: str) -> bool: ...

    def has_member(self, name: str) -> bool: ...


def participant(member: ChatAgent | Team) -> "Participant":
    """Take an agent or a team into a team.

    Raises:
        TypeError: It is neither.
    """
    # The base class first: to look at a protocol takes 25 microseconds.
    if isinstance(member, BaseChatAgent):
        return _Agent(member, member)
    if isinstance(member, ChatAgent):
        return _Agent(member, None)
    if isinstance(member, Team):  # pyright: ignore[reportUnnecessaryIsInstance] - untyped callers
        return _NestedTeam(member)
    raise TypeError(
        f"A participant must be an agent or a team, not {type(member).__name__!r}; "
        "derive custom agents from BaseChatAgent."
    )


class Participant(ABC):
    """The operations of a team on a member."""

    __slots__ = ("_buffer", "description", "name")

    continues: ClassVar[bool] = False
    """Whether an interrupted turn is continued, as that of a team; otherwise it is repeated."""

    def __init__(self, member: ChatAgent | Team) -> None:
        self.name = member.name
        self.description = member.description
        self._buffer: list[BaseChatMessage] = []

    def receive(self, messages: Sequence[BaseChatMessage]) -> None:
        """Keep messages of others for the next turn."""
        self._buffer.extend(messages)

    @abstractmethod
    async def speak(self, token: CancellationToken, emit: Emit[AnyMessage]) -> Turn:
        """Take a turn; emits the member's items.

        Raises:
            RuntimeError: The last item was no `Response` of an agent, or no `TaskResult` of a team.
        """

    def messages_of_turn(self) -> Sequence[AnyMessage]:
        """The messages of the current turn that will not be produced again."""
        return ()

    def cut_off(self) -> Turn:
        """End an interrupted turn that will not be continued; its messages are kept."""
        produced = self.messages_of_turn()
        self._forget_turn()
        return Turn(produced, [m for m in produced if isinstance(m, BaseChatMessage)], None)

    @abstractmethod
    def _forget_turn(self) -> None:
        """Mark the turn as ended."""

    @property
    def message_types(self) -> Sequence[type[BaseChatMessage]]:
        """Classes of messages that it produces."""
        return ()

    def take_unseen_usage(self) -> RequestUsage | None:
        """Usage of model calls that no message reports, since the last call of this method."""
        return None

    def includes(self, name: str) -> bool:
        """Whether this is the agent of that name, or a team with it."""
        return name == self.name

    async def takes_turn(self, speaker: str) -> bool:
        """Whether this is the agent that speaks next, or a team that gives it the next turn."""
        return self.includes(speaker)

    @abstractmethod
    async def reset(self) -> None:
        """Clear the conversation."""
        self._buffer = []
        self._forget_turn()

    @abstractmethod
    async def pause(self) -> None:
        """Notify it that the team is paused."""

    @abstractmethod
    async def resume(self) -> None:
        """Notify it that the team was resumed."""

    async def save_state(self) -> JsonObject:
        """Its own state and the messages for its next turn."""
        return self._container(
            {
                "agent_state": dict(await self._save_member()),
                "message_buffer": [message.dump() for message in self._buffer],
            }
        ).model_dump()

    async def load_state(self, state: JsonMapping, factory: MessageFactory) -> None:
        """Continue from the result of `save_state`."""
        container = read_state(teams.state.ChatAgentContainerState, state, self.name)
        messages = read_all(container.message_buffer, factory.create, f"{self.name}.message_buffer")
        await self._load_member(container.agent_state)
        self._buffer = [message for message in messages if isinstance(message, BaseChatMessage)]

    def _container(self, common: JsonMapping) -> "teams.state.ChatAgentContainerState":
        return teams.state.ChatAgentContainerState(**common)

    @abstractmethod
    async def _save_member(self) -> JsonMapping: ...

    @abstractmethod
    async def _load_member(self, state: JsonMapping) -> None: ...


class _Agent(Participant):
    # Messages stay in the buffer until the agent's turn ends: an interrupted turn is repeated with
    # the same messages.
    __slots__ = ("_agent", "_is_under_way", "_known")

    def __init__(self, agent: ChatAgent, known: BaseChatAgent | None) -> None:
        super().__init__(agent)
        self._agent = agent
        self._known = known  # the same, if it is derived from the base class
        self._is_under_way = False
        self._put(AgentState.INITIALIZED)

    def _put(self, state: AgentState) -> None:
        if self._known is not None:
            self._known._lifecycle = state  # pyright: ignore[reportPrivateUsage] - set by its team

    async def speak(self, token: CancellationToken, emit: Emit[AnyMessage]) -> Turn:
        is_again, self._is_under_way = self._is_under_way, True
        given = self._buffer[:]
        if self._known is not None and is_again == is_turn_taken_again():
            final = await self._known.on_messages_emit(given, token, emit)
        else:
            stream = self._agent.on_messages_stream(given, token)
            final = await emitted(_marked(stream, is_again=is_again), emit)
        if not isinstance(final, Response):
            raise RuntimeError(
                f"The agent {self.name!r} did not produce a final response; its "
                "on_messages_stream must yield a Response last."
            )
        # An agent that was cut off, and ends all the same, has already received what came after.
        self._buffer = self._buffer[len(given) :]
        self._forget_turn()
        message = final.chat_message
        return Turn([*(final.inner_messages or ()), message], (message,), message)

    def _forget_turn(self) -> None:
        self._is_under_way = False

    @property
    def message_types(self) -> Sequence[type[BaseChatMessage]]:
        return self._agent.produced_message_types

    async def takes_turn(self, speaker: str) -> bool:
        return speaker in (self.name, getattr(self._agent, "speaks_as", None))

    async def reset(self) -> None:
        await super().reset()
        await self._agent.on_reset(CancellationToken())
        self._put(AgentState.INITIALIZED)

    async def pause(self) -> None:
        await self._agent.on_pause(CancellationToken())
        self._put(AgentState.PAUSED)

    async def resume(self) -> None:
        await self._agent.on_resume(CancellationToken())
        self._put(AgentState.RUNNING if self._is_under_way else AgentState.INITIALIZED)

    async def _save_member(self) -> JsonMapping:
        return await self._agent.save_state()

    async def _load_member(self, state: JsonMapping) -> None:
        await self._agent.load_state(state)
        # The state does not contain this. True is safe: before a first turn there is no run of the
        # same task.
        self._is_under_way = True


def _marked(stream: AsyncGenerator[_Item, None], *, is_again: bool) -> AsyncGenerator[_Item, None]:
    """The stream of a turn, marked as a repeated turn or not."""
    return stream if is_again == is_turn_taken_again() else _with_mark(stream, is_again)


async def _with_mark(
    stream: AsyncGenerator[_Item, None], is_again: bool
) -> AsyncGenerator[_Item, None]:
    async with aclosing(stream):
        while True:
            with turn_taken_again(is_again):  # not across a yield: the caller shares the context
                item = await anext(stream, None)
            if item is None:
                return
            yield item


class _NestedTeam(Participant):
    # A team keeps its messages even when its run is interrupted; run again without a task, it
    # continues. So the buffer is handed over and cleared.
    __slots__ = ("_earlier", "_has_ended", "_has_run", "_is_under_way", "_shown", "_team")

    continues = True

    def __init__(self, team: Team) -> None:
        super().__init__(team)
        self._team = team
        self._has_run = False
        if isinstance(team, _Nests):
            team.become_nested()
        self._forget_turn()

    def _forget_turn(self) -> None:
        self._is_under_way = self._has_ended = False
        self._earlier: Sequence[AnyMessage] = ()
        self._shown: list[AnyMessage] = []

    async def speak(self, token: CancellationToken, emit: Emit[AnyMessage]) -> Turn:
        self._earlier = self.messages_of_turn()
        final = TaskResult.model_construct(messages=[])
        if not self._has_ended:
            final = await self._run_team(token, emit)
        produced = [*self._earlier, *final.messages]
        self._forget_turn()
        return Turn(produced, [m for m in produced if isinstance(m, BaseChatMessage)], None)

    async def _run_team(self, token: CancellationToken, emit: Emit[AnyMessage]) -> TaskResult:
        self._has_run = self._is_under_way = True
        task, self._buffer = self._buffer, []
        stream = self._team.run_stream(
            task or None, cancellation_token=token, output_task_messages=False
        )
        final: TaskResult | None = None
        async with aclosing(_marked(stream, is_again=False)) as items:
            async for item in items:
                if isinstance(item, TaskResult):
                    self._has_ended, final = True, item
                    continue
                mark_inside(item, self.name)
                if not isinstance(item, ModelClientStreamingChunkEvent):
                    self._shown.append(item)
                await emit(item)
        if final is None:
            raise RuntimeError(
                f"The team {self.name!r} did not produce a final result; its run_stream must "
                "yield a TaskResult last."
            )
        return final

    def messages_of_turn(self) -> Sequence[AnyMessage]:
        if not self._is_under_way:
            return ()
        return list(
            self._team.messages_of_run() if isinstance(self._team, _Records) else self._shown
        )

    async def load_state(self, state: JsonMapping, factory: MessageFactory) -> None:
        await super().load_state(state, factory)
        container = read_state(teams.state.NestedTeamContainerState, state, self.name)
        self._forget_turn()
        shown = read_all(container.shown, factory.create, f"{self.name}.shown")
        self._shown = [m for m in shown if isinstance(m, BaseAgentEvent | BaseChatMessage)]
        self._is_under_way, self._has_ended = container.under_way, container.is_over

    def _container(self, common: JsonMapping) -> "teams.state.ChatAgentContainerState":
        records = isinstance(self._team, _Records)
        return teams.state.NestedTeamContainerState(
            **common,
            under_way=self._is_under_way,
            is_over=self._has_ended,
            shown=[] if records else [message.dump() for message in self._shown],
        )

    def includes(self, name: str) -> bool:
        team = self._team
        return name == self.name or (isinstance(team, _Reopens) and team.has_member(name))

    async def takes_turn(self, speaker: str) -> bool:
        if not self.includes(speaker):
            return False
        if isinstance(self._team, _Reopens):
            await self._team.reopen(speaker)
        return True

    def take_unseen_usage(self) -> RequestUsage | None:
        return self._team.take_unseen_usage() if isinstance(self._team, _Selects) else None

    async def reset(self) -> None:
        await super().reset()
        await self._team.reset()

    async def pause(self) -> None:
        if self._has_run:  # one that has not run cannot be paused
            await self._team.pause()

    async def resume(self) -> None:
        if self._has_run:
            await self._team.resume()

    async def _save_member(self) -> JsonMapping:
        return await self._team.save_state()

    async def _load_member(self, state: JsonMapping) -> None:
        await self._team.load_state(state)
