"""The base class of teams; subclasses define the order of speakers.

Used by notebooks, `TeamTool`, outer teams, and the engine of durable runs. Subclasses are in
modules of their own, such as `round_robin.py`; `turns.py` executes a task. A turn is a direct
call of the participant in the caller's task: no queue, no new task, no copy of a message.
"""

from abc import abstractmethod
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, cast

from pydantic import BaseModel

from teamrun import teams
from teamrun.agents.base import BaseChatAgent, messages_of_task
from teamrun.conditions.base import TerminationCondition
from teamrun.core import actors
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.core.component.base import ComponentBase
from teamrun.core.cooperation import yield_to_loop
from teamrun.core.emission import Emissions
from teamrun.core.overriding import is_replaced
from teamrun.core.protocols import AnyMessage, ChatAgent, Response, Task, TaskResult, Team
from teamrun.core.saved import (
    Loading,
    check_version,
    damaged,
    load_all,
    read_all,
    read_state,
)
from teamrun.errors import TeamBusy
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    MessageFactory,
    ModelClientStreamingChunkEvent,
)
from teamrun.teams.run_record import RunRecord
from teamrun.teams.turns import TeamObserver, Turns

if TYPE_CHECKING:
    from teamrun.core.bus import EventBus, EventT
    from teamrun.teams.shared_memory import SharedMemory

__all__ = ["BaseGroupChat", "TeamObserver"]

_STEPS_OF_A_CLOSE: Final = 4
"""Steps of the event loop until a dropped stream is closed, as after `break` in an `async for`:
the loop is notified, it creates a task, and the task closes the stream."""


class BaseGroupChat(Turns, ComponentBase[BaseModel]):
    """A team whose participants take turns in one conversation.

    Every participant receives the messages of the others, but not their events. After the task
    and after each turn, the termination condition is checked, then `max_turns`. `run` without a
    task continues the conversation. `run` raises the exception of a participant unchanged;
    AutoGen raises a RuntimeError with its text instead.

    When a run ends normally, the condition and the turn count are reset. When it is interrupted by
    an exception, a cancellation or a caller that leaves the stream, they are kept, in `save_state`
    too: `run()` continues from there, and `run(task=...)` starts counting from zero. An agent
    repeats a turn that was interrupted. A nested team continues its turn with the messages that it
    has produced. `run` with the same messages as before, by their ids, also continues, and returns
    the result of the whole run.

    Args:
        participants: Agents and teams with unique names.
        name: The team's name; by default that of the class.
        description: The team's purpose.
        termination_condition: When to stop; by default at `max_turns`, or never.
        max_turns: Maximum number of turns of a run.
        custom_message_types: Classes of messages that are not in the participants'
            `produced_message_types`; `load_state` requires them.
        emit_team_events: Yield the selected speaker before each turn.
        runtime: Accepted as in AutoGen, and not used: a team delivers its messages itself.
        agents: Another name of `participants`.

    Raises:
        ValueError: There is no participant, two have one name, or one has the name under which
            the state of the team is saved, such as `RoundRobinGroupChatManager`.
    """

    DEFAULT_NAME: ClassVar[str]
    """The name of a team that is given none: by default that of its class."""
    DEFAULT_DESCRIPTION: ClassVar[str] = "A team of agents."

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "DEFAULT_NAME" not in vars(cls):
            cls.DEFAULT_NAME = cls.__name__  # pyright: ignore[reportConstantRedefinition] - set here

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
        runtime: "actors.AgentRuntime | None" = None,
        agents: Sequence[ChatAgent | Team] | None = None,
    ) -> None:
        if participants is not None and agents is not None:
            raise TypeError("`agents` is another name of `participants`; use one of them.")
        super().__init__(
            (agents if participants is None else participants) or (),
            name=name or self.DEFAULT_NAME,
            termination_condition=termination_condition,
            max_turns=max_turns,
            emit_team_events=emit_team_events,
        )
        self._description = description or self.DEFAULT_DESCRIPTION
        self._custom_message_types = custom_message_types
        self._is_running = False
        self._has_run = False

    @property
    def name(self) -> str:
        """The team's name."""
        return self._name

    @property
    def description(self) -> str:
        """The team's purpose."""
        return self._description

    @property
    def participants(self) -> Sequence[ChatAgent | Team]:
        """The agents and teams that take part, in order."""
        return self._members

    @property
    def termination_condition(self) -> TerminationCondition | None:
        """When the team stops."""
        return self._ending.condition

    @property
    def max_turns(self) -> int | None:
        """Maximum number of turns of a run."""
        return self._ending.max_turns

    @property
    def stop_code(self) -> str | None:
        """The code of the reason why the last run stopped; None while it continues.

        It is the code of the condition that fired first, or `max_turns`.
        """
        return self._ending.code

    @property
    def stop_reason(self) -> str | None:
        """The reason why the last run stopped, as text; None while it continues."""
        return self._ending.reason

    async def run(
        self,
        task: Task | None = None,
        *,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> TaskResult:
        """Work on the task until the team stops; see `run_stream`."""

        def check(item: AnyMessage) -> None:
            if cancellation_token is not None and cancellation_token.is_cancelled():
                raise CancelledError

        return await self._run_task(task, check, cancellation_token, echo=output_task_messages)

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        """Work on messages until the team stops; the response has the last message.

        Raises:
            ValueError: There is no message.
        """
        result = await self.run(
            messages, cancellation_token=cancellation_token, output_task_messages=False
        )
        produced = [m for m in result.messages if isinstance(m, BaseChatMessage)]
        answer = produced[-1] if produced else messages[-1]
        inner = [message for message in result.messages if message is not answer]
        return Response(chat_message=answer, inner_messages=inner)

    @property
    def events(self) -> "EventBus":
        """The bus of the typed events of the agents, those of inner teams included."""
        if self._events is None:
            # Imported late: few teams are watched.
            from teamrun.agents.lifecycle import watched
            from teamrun.core.bus import EventBus

            self._events = EventBus()
            for agent in self._agents():
                watched(agent).connect(self._events)
        return self._events

    def on(self, kind: "type[EventT]", function: "Callable[[EventT], Any]") -> Self:
        """Call a function, async or not, with each event of a class of `teamrun.core.bus`.

        Raises:
            TypeError: The class is not one of the events.
        """
        self.events.subscribe(kind, function)
        return self

    @property
    def shared_memory(self) -> "SharedMemory":
        """The store that members share, created at first use; it is saved with the team's state."""
        if self._shared is None:
            # Imported late: few teams have one.
            from teamrun.teams.shared_memory import SharedMemory

            self._shared = SharedMemory()
        return self._shared

    def share_memory(self, key: str, value: Any) -> None:
        """Store a JSON value in the shared memory.

        Raises:
            UsageError: It is not JSON data, or too long.
        """
        self.shared_memory.set(key, value)

    def get_shared_memory(self, key: str, default: Any = None) -> Any:
        """A value of the shared memory; `default` if there is none."""
        return self.shared_memory.get(key, default)

    def open_shared_memory(self) -> Self:
        """Give the assistants of the team, and of teams in it, tools for the shared memory.

        Raises:
            ValueError: The model of an assistant cannot call tools.
        """
        from teamrun.agents.assistant import AssistantAgent

        for agent in self._agents():
            if isinstance(agent, AssistantAgent) and "read_shared_memory" not in agent.tools:
                agent.tools.extend(self.shared_memory.tools())
        return self

    def instruct(self, *, objectives: Sequence[str] = (), constraints: Sequence[str] = ()) -> Self:
        """Add objectives and constraints to the system messages of the members.

        These are the agents of the team, and of teams in it, that have a model and a system
        message: `AssistantAgent` and `CodeExecutorAgent`, and those in a `MessageFilterAgent`.

        Args:
            objectives: What the team is to achieve.
            constraints: What each answer has to satisfy.

        Raises:
            ValueError: There is no such member.
        """
        # Imported late: few teams have them.
        from teamrun.teams.objectives import objectives_text

        text = objectives_text(self._name, objectives, constraints)
        agents = [agent for agent in self._agents() if isinstance(agent, BaseChatAgent)]
        instructed = [agent for agent in agents if text and agent.add_instructions(text)]
        if text and not instructed:
            raise ValueError(
                f"The team {self._name!r} has objectives or constraints, and no member with a "
                "system message; write them into the task."
            )
        return self

    def _agents(self) -> Iterator[ChatAgent]:
        for member in self._members:
            if isinstance(member, BaseGroupChat):
                yield from member._agents()
            elif isinstance(member, ChatAgent):
                yield member

    async def run_observed(
        self, task: Task | None, observe: Callable[[AnyMessage], None]
    ) -> TaskResult:
        """The same as `run`; each message and event is passed to `observe` as it arrives."""
        return await self._run_task(task, observe, None, echo=True)

    async def _run_task(
        self,
        task: Task | None,
        observe: Callable[[AnyMessage], None],
        token: CancellationToken | None,
        *,
        echo: bool,
    ) -> TaskResult:
        if is_replaced(self, "run_stream", _STREAM):
            stream = self.run_stream(task, cancellation_token=token, output_task_messages=echo)
            return await self._read(stream, observe)
        messages, produced = messages_of_task(task), list[AnyMessage]()

        async def keep(item: AnyMessage) -> None:
            observe(item)
            if not isinstance(item, ModelClientStreamingChunkEvent):
                produced.append(item)

        await self._begin_run()
        try:
            with cancelled_by(token):
                await self._work(messages, token or CancellationToken(), keep, echo=echo)
        finally:
            self._is_running = False
        return self._result(produced)

    async def _read(
        self,
        stream: AsyncGenerator[AnyMessage | TaskResult, None],
        observe: Callable[[AnyMessage], None],
    ) -> TaskResult:
        result: TaskResult | None = None
        async with aclosing(stream):
            async for item in stream:
                if isinstance(item, TaskResult):
                    result = item
                else:
                    observe(item)
        if result is None:
            raise RuntimeError(
                f"The team {self._name!r} did not produce a final result; its run_stream must "
                "yield a TaskResult last."
            )
        return result

    async def run_stream(
        self,
        task: Task | None = None,
        *,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> AsyncGenerator[AnyMessage | TaskResult, None]:
        """Work on the task; yields messages and events as they arrive, the `TaskResult` last.

        Args:
            task: A text, a message or several; None continues the conversation.
            cancellation_token: Cancelling it ends the run with `CancelledError`, whatever a
                participant is doing; the team can be used again.
            output_task_messages: Yield the task first, and include it in the result.

        Raises:
            TeamBusy: The team is running already.
            ValueError: The task is an empty list, or no message.
        """
        messages, produced = messages_of_task(task), list[AnyMessage]()
        await self._begin_run()
        token = cancellation_token or CancellationToken()
        work = partial(self._work, messages, token, echo=output_task_messages)
        steps = Emissions[AnyMessage, None](work)
        until_cancelled = cancelled_by(cancellation_token)
        try:
            while True:
                with until_cancelled:
                    item = await steps.next()
                if item is None:
                    break
                if not isinstance(item, ModelClientStreamingChunkEvent):
                    produced.append(item)
                yield item
        finally:
            await steps.aclose()
            self._is_running = False
        yield self._result(produced)

    async def reset(self) -> None:
        """Forget the conversation; the participants are reset as well.

        Raises:
            TeamBusy: The team is running.
        """
        await self._refuse_when_running("it must be stopped before it can be reset")
        for seat in self._seats.values():
            await seat.reset()
        self._thread = []
        self._run = RunRecord(is_over=True)
        self._unseen_usage = None
        self._waiting, self._unheard = [], []
        await self._ending.reset()
        await self._reset_order()
        if self._shared is not None:
            self._shared.load({})

    async def pause(self) -> None:
        """Notify the participants that the team is paused.

        Raises:
            RuntimeError: The team has not run yet.
        """
        self._require_a_run("paused")
        for seat in self._seats.values():
            await seat.pause()

    async def resume(self) -> None:
        """Notify the participants that the team was resumed.

        Raises:
            RuntimeError: The team has not run yet.
        """
        self._require_a_run("resumed")
        for seat in self._seats.values():
            await seat.resume()

    async def save_state(self) -> JsonMapping:
        """Everything that `load_state` needs to continue, as JSON data.

        During a run, agents of this library are saved as of the beginning of the current turn:
        a run that continues from the state repeats that turn.
        """
        states = {name: await seat.save_state() for name, seat in self._seats.items()}
        states[self._manager_name] = await self._save_own()
        return teams.state.TeamState(agent_states=states).model_dump()

    async def _save_own(self) -> JsonObject:
        """The team's own part of the state: the conversation, whose turn it is, the counts."""
        thread = [message.dump() for message in self._thread]
        counts = await self._ending.save_state()
        run = self._run.save(self._thread, reason=self.stop_reason, code=self.stop_code)
        own = self._save_manager({"message_thread": thread, "run": run, **counts}).model_dump()
        return own if self._shared is None else {**own, "shared_memory": self._shared.save()}

    async def _load_own(self, state: JsonMapping, factory: MessageFactory) -> None:
        """Continue from the result of `_save_own`."""
        manager = await self._load_manager(state)
        create = partial(_message, factory)
        if manager.undecided > len(manager.message_thread):
            raise damaged(
                "undecided",
                f"is {manager.undecided}, but there are {len(manager.message_thread)} messages",
            )
        if self._shared is not None or state.get("shared_memory"):
            values: object = state.get("shared_memory") or {}
            if not isinstance(values, Mapping):
                raise damaged("shared_memory", "must be an object")
            self.shared_memory.load(cast("JsonMapping", values))
        self._thread = read_all(manager.message_thread, create, "message_thread")
        self._run = RunRecord.load(manager.run, self._thread, create)
        for name in self._run.nested:
            if not self._continues(name):
                raise ValueError(f"The state names {name!r}, which is no team in this one.")
        undecided = self._thread[len(self._thread) - manager.undecided :]
        await self._ending.load_state(manager.current_turn, manager.termination, undecided)
        if manager.run is not None:
            self._ending.reason, self._ending.code = manager.run.stop_reason, manager.run.stop_code

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from a saved state, ours or that of AutoGen's team of the same class.

        Raises:
            TeamBusy: The team is running.
            ValueError: The state is damaged, lacks a participant, or contains a message of an
                unknown type; the message names the key.
            UsageError: The state is of a later release.
            Exception: A participant's `load_state` failed. In every case the team and its
                participants keep their previous state.
        """
        await self._refuse_when_running("its state cannot be loaded until it is stopped")
        check_version(state)
        states = read_state(teams.state.TeamState, state, "state").agent_states
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
        """Let the next run continue the last one, which ended with a handoff to a person.

        Turns and the counts of the termination condition continue. `speaker`, an agent of this
        team or of a team in it, takes the first turn, because the answer is for it.

        Returns False if the run cannot go on, because it has reached another limit as well;
        `stop_reason` and `stop_code` are those of the limit then.

        Raises:
            TeamBusy: The team is running.
        """
        await self._refuse_when_running("it must be stopped before it can be reopened")
        continues = await self._ending.reopen()
        for seat in self._seats.values():
            if await seat.takes_turn(speaker):
                self._give_turn(seat.name)
                break
        return continues

    def has_member(self, name: str) -> bool:
        """Whether an agent of this team, or of a team in it, has that name."""
        return any(seat.includes(name) for seat in self._seats.values())

    @abstractmethod
    def _give_turn(self, name: str) -> None:
        """Give the next turn to that participant."""

    def copy_with(self, participants: Sequence[ChatAgent | Team]) -> Self:
        """A team like this one, before its first run, of other participants of the same names."""
        made = self._copied(participants)
        made._begin_order()
        return made

    def renamed(
        self, name: str, *, description: str | None = None, max_turns: int | None = None
    ) -> Self:
        """This team under another name; None leaves the description or the maximum as it is."""
        self._name = name
        self._description = description or self._description
        self._ending.max_turns = max_turns or self._ending.max_turns
        return self

    @abstractmethod
    def _begin_order(self) -> None:
        """Set the order of speakers to that of a new team."""

    async def _reset_order(self) -> None:
        self._begin_order()

    @abstractmethod
    def _save_manager(self, common: JsonMapping) -> "teams.state.BaseGroupChatManagerState":
        """The state of the class, with the fields that all have in common."""

    @abstractmethod
    async def _load_manager(self, state: JsonMapping) -> "teams.state.BaseGroupChatManagerState":
        """Read the state of the class."""

    async def _begin_run(self) -> None:
        await self._refuse_when_running("it cannot run again until it is stopped")
        self._is_running = self._has_run = True

    def _result(self, produced: list[AnyMessage]) -> TaskResult:
        self._run.is_over = True
        return TaskResult.model_construct(messages=produced, stop_reason=self._ending.reason)

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

    @property
    def unannounced_message_types(self) -> Sequence[type[BaseAgentEvent | BaseChatMessage]]:
        """The custom message types that no participant announces."""
        produced = {kind for seat in self._seats.values() for kind in seat.message_types}
        return [kind for kind in self._custom_message_types if kind not in produced]

    def _message_factory(self) -> MessageFactory:
        factory = MessageFactory()
        produced = (kind for seat in self._seats.values() for kind in seat.message_types)
        for kind in (*produced, *self._custom_message_types):
            if not factory.is_registered(kind):
                factory.register(kind)
        return factory


_STREAM: Final = BaseGroupChat.run_stream


def _message(factory: MessageFactory, data: JsonMapping) -> AnyMessage:
    message = factory.create(data)
    assert isinstance(message, BaseAgentEvent | BaseChatMessage)  # the only kinds
    return message
