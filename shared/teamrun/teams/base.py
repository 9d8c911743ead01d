"""The seam for teams: who speaks next is up to the class, everything else is here.

Above it: notebooks, `TeamTool`, outer teams, and the engine of durable runs. Below it:
`round_robin.py`, `selector.py`. A turn is a direct call of the participant, in the task of the
caller: no queue, no task, no copy of a message.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final, Protocol

from teamrun.agents.base import messages_of_task
from teamrun.conditions.base import TerminationCondition
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.core.cooperation import yield_to_loop
from teamrun.core.protocols import AnyMessage, ChatAgent, Response, Task, TaskResult, Team
from teamrun.core.saved import Loading, load_all
from teamrun.errors import TeamBusy
from teamrun.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    MessageFactory,
    ModelClientStreamingChunkEvent,
    RequestUsage,
    SelectSpeakerEvent,
)
from teamrun.teams.ending import Ending
from teamrun.teams.participant import Participant, Turn, participant
from teamrun.teams.state import BaseGroupChatManagerState, TeamState

__all__ = ["BaseGroupChat", "TeamObserver"]

_STEPS_OF_A_CLOSE: Final = 4
"""Steps of the event loop in which it closes a stream that its caller has dropped, as with `break`
in an `async for`: it is told, it makes a task, and the task closes the stream."""


class TeamObserver(Protocol):
    """Is told how a team gets on; calls are synchronous and on the path of every turn."""

    def turn_started(self, turn: int, agent: str) -> None:
        """A participant has been given its turn; turns count from 1 in each run."""
        ...

    def turn_completed(self, turn: int, agent: str) -> None:
        """The turn is over, and what was said has been heard by the others."""
        ...

    def speaker_selected(self, speakers: list[str]) -> None:
        """The team has chosen who speaks next; not told where there is nothing to choose."""
        ...


class BaseGroupChat(ABC):
    """A team whose participants take turns in one conversation.

    Every participant hears what the others say, never their events. After the task and after
    each turn the termination condition is asked, then `max_turns`. `run` without a task goes on
    with the conversation. The exception of a participant comes out of `run` as it is: AutoGen
    raises a RuntimeError with the text of it instead.

    A run that ended on its own leaves condition and turn count reset. One that was cut short, by
    an exception or a cancel, leaves them as they are, in `save_state` too: `run()` goes on from
    there, with the turn that was cut short, and `run(task=...)` counts anew.

    Args:
        participants: Agents and teams, with names of their own.
        name: The team's name; by default that of the class.
        description: What the team is good for.
        termination_condition: When to stop; None: at `max_turns`, or never.
        max_turns: How many turns a run has at most.
        custom_message_types: Classes of messages that the participants do not announce in
            `produced_message_types`; `load_state` needs to know them.
        emit_team_events: Yield who was selected, before each turn.
        agents: Another name of `participants`.

    Raises:
        ValueError: There is no participant, or two have one name.
    """

    observer: TeamObserver | None = None
    """Is told about turns; a durable run sets it."""
    inbox: Callable[[], Sequence[BaseChatMessage]] | None = None
    """Asked before each turn for what people outside have said meanwhile; the team hears it."""

    def __init__(
        self,
        participants: Sequence[ChatAgent | Team] | None,
        *,
        name: str | None = None,
        description: str | None = None,
        termination_condition: TerminationCondition | None = None,
        max_turns: int | None = None,
        custom_message_types: Sequence[type[BaseAgentEvent | BaseChatMessage]] = (),
        emit_team_events: bool = False,
        agents: Sequence[ChatAgent | Team] | None = None,
    ) -> None:
        if participants is not None and agents is not None:
            raise TypeError("`agents` is another name of `participants`; give one of them.")
        self._members = tuple(participants or agents or ())
        self._seats: dict[str, Participant] = {}
        for seat in map(participant, self._members):
            if self._seats.setdefault(seat.name, seat) is not seat:
                raise ValueError(
                    f"The participant names must be unique, and {seat.name!r} is there twice."
                )
        if not self._seats:
            raise ValueError("At least one participant is required.")
        self._name = name or type(self).__name__
        self._description = description or "A team of agents."
        self._manager_name = f"{type(self).__name__}Manager"
        self._ending = Ending(termination_condition, max_turns)
        self._custom_message_types = custom_message_types
        self._emit_team_events = emit_team_events
        self._thread: list[AnyMessage] = []
        self._is_running = False
        self._has_run = False
        self._unseen_usage: RequestUsage | None = None

    @property
    def name(self) -> str:
        """The team's name."""
        return self._name

    @property
    def description(self) -> str:
        """What the team is good for."""
        return self._description

    @property
    def participants(self) -> Sequence[ChatAgent | Team]:
        """The agents and teams that take part, in order."""
        return self._members

    @property
    def max_turns(self) -> int | None:
        """How many turns a run has at most."""
        return self._ending.max_turns

    @property
    def stop_code(self) -> str | None:
        """Why the last run stopped, as a machine reads it; None as long as it goes on.

        It is the code of the condition that fired first, or `max_turns`.
        """
        return self._ending.code

    @property
    def stop_reason(self) -> str | None:
        """Why the last run stopped, in words; None as long as it goes on."""
        return self._ending.reason

    async def run(
        self,
        task: Task | None = None,
        *,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> TaskResult:
        """Work on the task until something says stop; see `run_stream`."""
        stream = self.run_stream(
            task,
            cancellation_token=cancellation_token,
            output_task_messages=output_task_messages,
        )
        result: TaskResult | None = None
        async for item in stream:
            if isinstance(item, TaskResult):
                result = item
        assert result is not None  # run_stream yields it last
        return result

    async def run_stream(
        self,
        task: Task | None = None,
        *,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> AsyncGenerator[AnyMessage | TaskResult, None]:
        """Work on the task; yields messages and events as they come, the `TaskResult` last.

        Args:
            task: A text, a message or several; None goes on with the conversation.
            cancellation_token: Cancelling it ends the run with `CancelledError`, whatever a
                participant is doing; the team can be used again.
            output_task_messages: The messages of the task come first, in the result too.

        Raises:
            TeamBusy: The team is running already.
            ValueError: The task is an empty list, or no message.
        """
        messages = messages_of_task(task)
        await self._refuse_when_running("it cannot run again until it is stopped")
        self._is_running = self._has_run = True
        token = cancellation_token or CancellationToken()
        produced: list[AnyMessage] = []
        steps = self._work(messages, token, echo=output_task_messages)
        until_cancelled = cancelled_by(cancellation_token)
        try:
            while True:
                with until_cancelled:
                    item = await anext(steps, None)
                if item is None:
                    break
                if not isinstance(item, ModelClientStreamingChunkEvent):
                    produced.append(item)
                yield item
        finally:
            await steps.aclose()
            self._is_running = False
        yield TaskResult.model_construct(messages=produced, stop_reason=self._ending.reason)

    async def reset(self) -> None:
        """Forget the conversation; the participants are reset as well.

        Raises:
            TeamBusy: The team is running.
        """
        await self._refuse_when_running("it must be stopped before it can be reset")
        for seat in self._seats.values():
            await seat.reset()
        self._thread = []
        self._unseen_usage = None
        await self._ending.reset()
        await self._reset_order()

    async def pause(self) -> None:
        """Tell the participants that the team is paused; what they do about it is theirs.

        Raises:
            RuntimeError: The team has not run yet.
        """
        self._require_a_run("paused")
        for seat in self._seats.values():
            await seat.pause()

    async def resume(self) -> None:
        """Tell the participants that the team goes on.

        Raises:
            RuntimeError: The team has not run yet.
        """
        self._require_a_run("resumed")
        for seat in self._seats.values():
            await seat.resume()

    async def save_state(self) -> Mapping[str, Any]:
        """Everything that `load_state` needs to go on, as JSON data.

        During a run, agents of this library are saved as of the beginning of the turn under way:
        a run that goes on from the state takes that turn again.
        """
        states = {name: await seat.save_state() for name, seat in self._seats.items()}
        states[self._manager_name] = await self._save_own()
        return TeamState(agent_states=states).model_dump()

    async def _save_own(self) -> dict[str, Any]:
        """The team's own part of the state: the conversation, whose turn it is, the counts."""
        thread = [message.dump() for message in self._thread]
        counts = await self._ending.save_state()
        return self._save_manager({"message_thread": thread, **counts}).model_dump()

    async def _load_own(self, state: Mapping[str, Any], factory: MessageFactory) -> None:
        """Continue from what `_save_own` gave."""
        manager = await self._load_manager(state)
        self._thread = []
        await self._remember([_message(factory, data) for data in manager.message_thread])
        undecided = self._thread[len(self._thread) - manager.undecided :]
        await self._ending.load_state(manager.current_turn, manager.termination, undecided)

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `save_state` gave, or AutoGen's team of the same class.

        Raises:
            TeamBusy: The team is running.
            ValueError: The state lacks a participant, or holds a message of an unknown type.
            Exception: A participant's `load_state` has failed. In every case the team and its
                participants have the state that they had.
        """
        await self._refuse_when_running("its state cannot be loaded until it is stopped")
        states = TeamState.model_validate(state).agent_states
        for name in (*self._seats, self._manager_name):
            if name not in states:
                raise ValueError(f"Agent state for {name} not found in the saved state.")
        factory = self._message_factory()
        loadings = [
            Loading(seat.save_state, partial(seat.load_state, factory=factory), states[name])
            for name, seat in self._seats.items()
        ]
        load_own = partial(self._load_own, factory=factory)
        loadings.append(Loading(self._save_own, load_own, states[self._manager_name]))
        await load_all(loadings)

    async def reopen(self, speaker: str) -> bool:
        """Let the next run go on with the last one, which a handoff to a person has ended.

        Turns, and what the termination condition has counted, count on. `speaker`, an agent of
        this team or of a team in it, takes the first turn: the answer is for it.

        Returns False if the run cannot go on, because it has reached another limit as well;
        `stop_reason` and `stop_code` are those of the limit then.

        Raises:
            TeamBusy: The team is running.
        """
        await self._refuse_when_running("it must be stopped before it can be reopened")
        goes_on = await self._ending.reopen()
        for seat in self._seats.values():
            if await seat.takes_up(speaker):
                self._give_turn(seat.name)
                break
        return goes_on

    def has_member(self, name: str) -> bool:
        """Whether an agent of this team, or of a team in it, has that name."""
        return any(seat.includes(name) for seat in self._seats.values())

    @abstractmethod
    def _give_turn(self, name: str) -> None:
        """Let that participant speak next, out of its turn."""

    @abstractmethod
    def _select_speaker(
        self, token: CancellationToken
    ) -> str | AsyncGenerator[BaseAgentEvent | str, None]:
        """Choose who speaks next: a name, or a choice that yields events and the name last."""

    @abstractmethod
    def _turn_over(self) -> None:
        """Take note that the one selected has spoken."""

    @abstractmethod
    async def _reset_order(self) -> None:
        """Forget who has spoken."""

    async def _remember(self, messages: Sequence[AnyMessage]) -> None:
        """Add a task, or what a turn has produced, to the conversation."""
        self._thread.extend(messages)

    @abstractmethod
    def _save_manager(self, common: Mapping[str, Any]) -> BaseGroupChatManagerState:
        """The state of the class, with the fields that all have in common."""

    @abstractmethod
    async def _load_manager(self, state: Mapping[str, Any]) -> BaseGroupChatManagerState:
        """Read the state of the class."""

    def _count_usage(self, usage: RequestUsage, *, is_seen: bool) -> None:
        """Count a model call of the team itself.

        Args:
            usage: What it used.
            is_seen: A message of the run carries it, so an outer team sees it there.
        """
        self._ending.count_usage(usage)
        if not is_seen:
            known = self._unseen_usage
            self._unseen_usage = usage if known is None else _sum(known, usage)

    def take_unseen_usage(self) -> RequestUsage | None:
        """What the team's own model calls have used that no message of a run tells of.

        An outer team asks after each turn, for its own count of tokens.
        """
        usage, self._unseen_usage = self._unseen_usage, None
        return usage

    async def _work(
        self, task: Sequence[BaseChatMessage], token: CancellationToken, *, echo: bool
    ) -> AsyncGenerator[AnyMessage, None]:
        ending = self._ending
        await ending.begin(is_new=bool(task))
        if task and ending.reason is None:
            await self._hear_task(task)
            for message in task if echo else ():
                yield message
            await ending.decide()
        while ending.reason is None:
            await yield_to_loop()  # adds 4 us to a turn of 19 (scripted model)
            news = self.inbox() if self.inbox is not None else ()
            if news:
                await self._hear_task(news)
                for message in news:
                    yield message
                await ending.decide()
                continue
            turn = self._next_turn(token)
            try:
                async for item in turn:
                    yield item
            finally:
                await turn.aclose()

    async def _next_turn(self, token: CancellationToken) -> AsyncGenerator[AnyMessage, None]:
        choice = self._select_speaker(token)
        if not isinstance(choice, str):
            selection, choice = choice, ""
            async with aclosing(selection):
                async for item in selection:
                    if isinstance(item, str):
                        choice = item
                    else:
                        yield item
            if self.observer is not None:
                self.observer.speaker_selected([choice])
        async with aclosing(self._take_turn(choice, token)) as turn:
            async for item in turn:
                yield item

    async def _hear_task(self, task: Sequence[BaseChatMessage]) -> None:
        for seat in self._seats.values():
            seat.hear(task)
        await self._remember(task)
        self._ending.add(task)

    async def _take_turn(
        self, speaker: str, token: CancellationToken
    ) -> AsyncGenerator[AnyMessage, None]:
        number, observer = self._ending.turns + 1, self.observer
        if self._emit_team_events:
            yield SelectSpeakerEvent(content=[speaker], source=self._manager_name)
        if observer is not None:
            observer.turn_started(number, speaker)
        seat, final = self._seats[speaker], None
        stream = seat.speak(token)
        try:
            async for item in stream:
                if isinstance(item, (Response, TaskResult)):
                    final = item
                else:
                    yield item
        finally:
            await stream.aclose()
        turn = seat.finish(final)
        # Recorded before it is shown: a caller that leaves the stream here has it in the state.
        await self._record(speaker, turn)
        if turn.closing is not None:
            yield turn.closing
        if observer is not None:
            observer.turn_completed(number, speaker)
        await self._ending.decide()

    async def _record(self, speaker: str, turn: Turn) -> None:
        for name, seat in self._seats.items():
            if name != speaker:
                seat.hear(turn.said)
        await self._remember(turn.delta)
        self._ending.add(turn.delta)
        usage = self._seats[speaker].take_unseen_usage()
        if usage is not None:
            self._count_usage(usage, is_seen=False)
        self._ending.turns += 1
        self._turn_over()

    async def _refuse_when_running(self, why: str) -> None:
        for _ in range(_STEPS_OF_A_CLOSE if self._is_running else 0):
            await yield_to_loop()
        if self._is_running:
            raise TeamBusy(
                f"The team is already running, {why}. Iterate over the stream of the present run "
                "to its end, close it with `await stream.aclose()`, or cancel and await the task "
                "that runs it."
            )

    def _require_a_run(self, done: str) -> None:
        if not self._has_run:
            raise RuntimeError(
                f"The group chat has not been initialized. It must be run before it can be {done}."
            )

    def _message_factory(self) -> MessageFactory:
        factory = MessageFactory()
        produced = (kind for seat in self._seats.values() for kind in seat.message_types)
        for kind in (*produced, *self._custom_message_types):
            if not factory.is_registered(kind):
                factory.register(kind)
        return factory


def _sum(one: RequestUsage, other: RequestUsage) -> RequestUsage:
    return RequestUsage(
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        reasoning_tokens=one.reasoning_tokens + other.reasoning_tokens,
    )


def _message(factory: MessageFactory, data: Mapping[str, Any]) -> AnyMessage:
    message = factory.create(data)
    assert isinstance(message, BaseAgentEvent | BaseChatMessage)  # there is nothing else
    return message
