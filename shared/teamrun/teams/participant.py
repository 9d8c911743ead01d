"""A member of a team, agent or nested team, with what it has not been told yet."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from teamrun.agents.base import BaseChatAgent
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import AnyMessage, ChatAgent, Response, TaskResult, Team
from teamrun.messages import BaseChatMessage, MessageFactory, RequestUsage
from teamrun.teams.state import ChatAgentContainerState

__all__ = ["Participant", "Turn", "participant"]


class Turn(NamedTuple):
    """What one turn has added to the conversation."""

    delta: Sequence[AnyMessage]
    """For the thread and the termination condition."""
    said: Sequence[BaseChatMessage]
    """For the ears of the other participants."""
    closing: BaseChatMessage | None
    """The message that ends the turn, where it was not yielded before."""


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
    if isinstance(member, BaseChatAgent | ChatAgent):
        return _Agent(member)
    if isinstance(member, Team):  # pyright: ignore[reportUnnecessaryIsInstance] - untyped callers
        return _NestedTeam(member)
    raise TypeError(
        f"A participant must be an agent or a team, not {type(member).__name__!r}; "
        "derive an agent of your own from BaseChatAgent."
    )


class Participant(ABC):
    """What a team does with a member."""

    __slots__ = ("_heard", "description", "name")

    def __init__(self, member: ChatAgent | Team) -> None:
        self.name = member.name
        self.description = member.description
        self._heard: list[BaseChatMessage] = []

    def hear(self, messages: Sequence[BaseChatMessage]) -> None:
        """Keep what others have said for the next turn."""
        self._heard.extend(messages)

    @abstractmethod
    def speak(
        self, token: CancellationToken
    ) -> AsyncGenerator[AnyMessage | Response | TaskResult, None]:
        """Take a turn; yields what the member yields."""

    @abstractmethod
    def finish(self, final: Response | TaskResult | None) -> Turn:
        """What the turn has added, from the last thing that `speak` yielded.

        Raises:
            RuntimeError: It was no `Response` of an agent, or no `TaskResult` of a team.
        """

    @property
    def message_types(self) -> Sequence[type[BaseChatMessage]]:
        """Classes of messages that it produces."""
        return ()

    def take_unseen_usage(self) -> RequestUsage | None:
        """What model calls have used that no message tells of, since this was last asked."""
        return None

    def includes(self, name: str) -> bool:
        """Whether this is the agent of that name, or a team with it."""
        return name == self.name

    async def takes_up(self, speaker: str) -> bool:
        """Whether this is the agent that is to speak, or a team that now lets it speak next."""
        return self.includes(speaker)

    @abstractmethod
    async def reset(self) -> None:
        """Forget everything heard and said."""
        self._heard = []

    @abstractmethod
    async def pause(self) -> None:
        """Tell it that the team is paused."""

    @abstractmethod
    async def resume(self) -> None:
        """Tell it that the team goes on."""

    async def save_state(self) -> dict[str, Any]:
        """Its own state and what it has not been told yet."""
        state = ChatAgentContainerState(
            agent_state=dict(await self._save_member()),
            message_buffer=[message.dump() for message in self._heard],
        )
        return state.model_dump()

    async def load_state(self, state: Mapping[str, Any], factory: MessageFactory) -> None:
        """Continue from what `save_state` gave."""
        container = ChatAgentContainerState.model_validate(state)
        messages = [factory.create(data) for data in container.message_buffer]
        await self._load_member(container.agent_state)
        self._heard = [message for message in messages if isinstance(message, BaseChatMessage)]

    @abstractmethod
    async def _save_member(self) -> Mapping[str, Any]: ...

    @abstractmethod
    async def _load_member(self, state: Mapping[str, Any]) -> None: ...


class _Agent(Participant):
    # What the agent is told stays in the buffer until its turn is over: a turn that was cut
    # short is taken again, from the same messages.
    __slots__ = ("_agent",)

    def __init__(self, agent: ChatAgent) -> None:
        super().__init__(agent)
        self._agent = agent

    def speak(
        self, token: CancellationToken
    ) -> AsyncGenerator[AnyMessage | Response | TaskResult, None]:
        return self._agent.on_messages_stream(self._heard, token)

    def finish(self, final: Response | TaskResult | None) -> Turn:
        if not isinstance(final, Response):
            raise RuntimeError(
                f"The agent {self.name!r} did not produce a final response; its "
                "on_messages_stream must yield a Response last."
            )
        self._heard = []
        said = final.chat_message
        return Turn([*(final.inner_messages or ()), said], (said,), said)

    @property
    def message_types(self) -> Sequence[type[BaseChatMessage]]:
        return self._agent.produced_message_types

    async def reset(self) -> None:
        await super().reset()
        await self._agent.on_reset(CancellationToken())

    async def pause(self) -> None:
        await self._agent.on_pause(CancellationToken())

    async def resume(self) -> None:
        await self._agent.on_resume(CancellationToken())

    async def _save_member(self) -> Mapping[str, Any]:
        return await self._agent.save_state()

    async def _load_member(self, state: Mapping[str, Any]) -> None:
        await self._agent.load_state(state)


class _NestedTeam(Participant):
    # A team keeps what it was told even when its run is cut short; run again without a task, it
    # goes on where it was. So the buffer is handed over, not shown.
    __slots__ = ("_has_run", "_team")

    def __init__(self, team: Team) -> None:
        super().__init__(team)
        self._team = team
        self._has_run = False

    def speak(
        self, token: CancellationToken
    ) -> AsyncGenerator[AnyMessage | Response | TaskResult, None]:
        self._has_run = True
        task, self._heard = self._heard, []
        return self._team.run_stream(
            task or None, cancellation_token=token, output_task_messages=False
        )

    def finish(self, final: Response | TaskResult | None) -> Turn:
        if not isinstance(final, TaskResult):
            raise RuntimeError(
                f"The team {self.name!r} did not produce a final result; its run_stream must "
                "yield a TaskResult last."
            )
        said = [message for message in final.messages if isinstance(message, BaseChatMessage)]
        return Turn(final.messages, said, None)

    def includes(self, name: str) -> bool:
        team = self._team
        return name == self.name or (isinstance(team, _Reopens) and team.has_member(name))

    async def takes_up(self, speaker: str) -> bool:
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

    async def _save_member(self) -> Mapping[str, Any]:
        return await self._team.save_state()

    async def _load_member(self, state: Mapping[str, Any]) -> None:
        await self._team.load_state(state)
