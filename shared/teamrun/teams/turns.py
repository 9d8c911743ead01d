"""Execution of a task by a team: turn by turn, in the caller's asyncio task.

Above it: `base.py`, which adds the public methods. Below it: `participant.py` (one turn),
`ending.py` (when to stop) and `run_record.py` (from which an interrupted run continues).
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, Self

from teamrun import messages, teams
from teamrun.conditions.base import TerminationCondition
from teamrun.core.behaviour import has_behaviour
from teamrun.core.cancellation import CancellationToken
from teamrun.core.checks import checked_list
from teamrun.core.cooperation import yield_to_loop
from teamrun.core.emission import Emit, ignore
from teamrun.core.protocols import AnyMessage, ChatAgent, Team
from teamrun.core.saved import damaged
from teamrun.core.together import emit_together
from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.messages import BaseChatMessage, HandoffMessage, RequestUsage
from teamrun.teams.ending import Ending
from teamrun.teams.participant import Participant, Turn, participant
from teamrun.teams.run_record import RunRecord

if TYPE_CHECKING:
    from teamrun.core.bus import EventBus
    from teamrun.teams.shared_memory import SharedMemory

__all__ = ["TeamObserver", "Turns"]

_UNINTERRUPTED_S: Final = 0.001
"""For how long members that never suspend may have the event loop for themselves, or for one turn.

To yield in each turn would add 4 us to one of 15 (scripted model).
"""


_AT_ONCE: Final = (str, tuple)  # made once: `str | tuple` takes 0.5 us


class TeamObserver(Protocol):
    """Observes the progress of a team; it is called synchronously in every turn."""

    def turn_started(self, turn: int, agent: str) -> None:
        """A participant has been given its turn; turns count from 1 in each run.

        Participants that speak at the same time have the same turn, and all begin before one ends.
        """
        ...

    def turn_completed(self, turn: int, agent: str) -> None:
        """The turn is over, and the others have received its messages."""
        ...

    def speaker_selected(self, speakers: list[str]) -> None:
        """The team selected the next speakers; not called if there is no choice."""
        ...


class Turns(ABC):
    """Participants that take turns in one conversation, until the termination condition fires."""

    _manager_class: ClassVar[str | None] = None
    """The name of the manager in the state, if it is not that of the class with `Manager`."""

    _is_nested = False
    observer: TeamObserver | None = None
    """Observes turns; a durable run sets it."""
    inbox: Callable[[], Sequence[BaseChatMessage]] | None = None
    """Called before each turn; returns new messages of people outside, which the team receives."""

    speakers = 1
    """How many spoke at the same time in the last turn."""

    checkpoint: Callable[[Any], Awaitable[None]] | None = None
    """Called with the team before each turn, before `inbox`: `save_state` has everything then."""

    _events: "EventBus | None" = None
    _shared: "SharedMemory | None" = None

    def __init__(
        self,
        members: Sequence[ChatAgent | Team],
        *,
        name: str | None,
        termination_condition: TerminationCondition | None,
        max_turns: int | None,
        emit_team_events: bool,
    ) -> None:
        self._members = tuple(
            checked_list(members, parameter="participants", expected="a list of agents and teams")
        )
        self._seats: dict[str, Participant] = {}
        for seat in map(participant, self._members):
            if self._seats.setdefault(seat.name, seat) is not seat:
                raise ValueError(
                    f"The participant names must be unique, and {seat.name!r} occurs twice."
                )
        if not self._seats:
            raise ValueError("At least one participant is required.")
        self._name = name or type(self).__name__
        self._manager_name = self._manager_class or f"{type(self).__name__}Manager"
        if self._manager_name in self._seats:
            raise ValueError(
                f"No participant may be named {self._manager_name!r}: the state of the team is"
                " saved under this name. Give it another name."
            )
        self._ending = Ending(termination_condition, max_turns)
        self._emit_team_events = emit_team_events
        self._thread: list[AnyMessage] = []
        self._run = RunRecord(is_over=True)
        self._unseen_usage: RequestUsage | None = None
        self._waiting: list[str] = []
        self._unheard: list[tuple[str, Sequence[BaseChatMessage]]] = []
        self._cut_off: list[str] = []
        self._unshown = 0

    @property
    def conversation(self) -> list[BaseChatMessage]:
        """The messages of the conversation so far, those of earlier runs included."""
        return [each for each in self._thread if isinstance(each, BaseChatMessage)]

    def _copied(self, members: Sequence[ChatAgent | Team]) -> Self:
        """A team of the same kind with other members of the same names, before its first run."""
        if self._shared is not None or self._events is not None:
            raise UsageError(
                f"The team {self._name!r} has a shared memory or subscribed functions, which runs"
                " cannot copy."
            )
        made = copy.copy(self)
        Turns.__init__(
            made,
            members,
            name=self._name,
            termination_condition=self._ending.fresh_condition(),
            max_turns=self._ending.max_turns,
            emit_team_events=self._emit_team_events,
        )
        return made

    def _require_agents(self) -> None:
        """Refuse participants that are teams.

        Raises:
            TypeError: A participant is a team.
        """
        for seat in self._seats.values():
            if seat.continues:
                raise TypeError(
                    f"Participant {seat.name!r} must be a ChatAgent; {type(self).__name__} takes "
                    "no teams as participants."
                )

    def become_nested(self) -> None:
        """Note that this is a member of another team, whose messages become its tasks."""
        self._is_nested = True

    def handoff_to_person(self, said: Sequence[BaseChatMessage]) -> HandoffMessage | None:
        """The handoff to a person whose answer the next run needs as its task, if there is one.

        Args:
            said: Messages of the conversation that the team has not received yet.
        """
        return None

    def _check_start(self, task: Sequence[BaseChatMessage]) -> None:  # noqa: B027 - few refuse
        """Refuse a run that cannot begin: with this task, or without one.

        Raises:
            ValueError: It cannot begin; nothing has changed.
        """

    @abstractmethod
    def _select_speaker(
        self, token: CancellationToken, emit: Emit[AnyMessage]
    ) -> str | tuple[str, ...] | Awaitable[str | tuple[str, ...]]:
        """Select the next speaker: a name, or an awaitable of it that emits events meanwhile.

        The observer is not told of a name that is returned at once. A tuple names agents that speak
        at the same time. A name that occurs twice speaks twice. If
        it is empty, the team has nothing left to do, and `_own_end` returns the reason.
        """

    @abstractmethod
    def _turn_over(self, speaker: str, turn: Turn) -> None:
        """Update the order of speakers after a selected participant has completed its turn."""

    def _concludes(self) -> bool:
        """Whether the next selection ends the run without calling anything."""
        return False

    def _has_enough(self) -> bool:
        """Whether the others who speak at the same time can be cut off."""
        return False

    def _own_end(self) -> tuple[str, str] | None:
        """The reason and code if the team has nothing left to do, before conditions are checked."""
        return None

    def messages_of_run(self) -> Sequence[AnyMessage]:
        """The messages of the last run that will not be produced again, without its task.

        Turns of agents count when they are complete, those of nested teams turn by turn.
        """
        run = self._run
        if not run.nested:
            return run.shown
        under_way = (m for name in run.nested for m in self._seats[name].messages_of_turn())
        return [*run.shown, *run.opening, *under_way]

    def take_unseen_usage(self) -> RequestUsage | None:
        """Usage of the team's own model calls that no message of a run reports.

        An outer team asks after each turn, for its own count of tokens.
        """
        usage, self._unseen_usage = self._unseen_usage, None
        return usage

    def _count_usage(self, usage: RequestUsage, *, is_seen: bool) -> None:
        """Count a model call of the team itself.

        Args:
            usage: The usage of a call.
            is_seen: A message of the run carries it, so an outer team sees it there.
        """
        self._ending.count_usage(usage)
        if not is_seen:
            known = self._unseen_usage
            self._unseen_usage = usage if known is None else known + usage

    async def _work(
        self,
        task: Sequence[BaseChatMessage],
        token: CancellationToken,
        emit: Emit[AnyMessage],
        *,
        echo: bool,
    ) -> None:
        """Work on the task until the team stops, or continue the interrupted run of this task."""
        if has_behaviour(2) and self._run.is_for(task):
            for message in (*(task if echo else ()), *self.messages_of_run()):
                await emit(message)
            if self._run.is_over:
                return
            task = ()
        ending = self._ending
        if not task and not self._run.is_over and ending.reason is not None:
            return  # the run has ended, and a cancel has kept its result from the caller
        if task or self._run.is_over:
            self._check_start(task)
            self._begin()
        await ending.begin(is_new=bool(task))
        if ending.is_undecided and ending.reason is None and not self._waiting:
            await self._decide(self._own_end())  # the caller left the stream before
        if task and ending.reason is None:
            self._run.task = tuple(message.id for message in task)
            await self._receive(task, emit if echo else ignore)
        await self._take_steps(token, emit)

    async def _take_steps(self, token: CancellationToken, emit: Emit[AnyMessage]) -> None:
        async def open_with(item: AnyMessage) -> None:
            # Messages of the team itself are kept when the selection is repeated; events are not.
            run = self._run
            (run.shown if isinstance(item, BaseChatMessage) else run.opening).append(item)
            await emit(item)

        ending, yielded_at = self._ending, -inf
        while ending.reason is None:
            if monotonic() > yielded_at + _UNINTERRUPTED_S:
                await yield_to_loop()
                yielded_at = monotonic()
            listens = self.inbox is not None or self.checkpoint is not None
            if listens and not (self._waiting or self._concludes()):
                news = await self._before_turn()
                if news:
                    await self._receive(news, emit)
                    continue
            chosen = self._next_speakers(token, open_with)
            speakers = chosen if isinstance(chosen, tuple) else await chosen
            if speakers:
                await self._take_turns(speakers, token, emit)
            own = self._own_end()
            if own is not None or not ending.goes_on():
                await self._decide(own)

    async def _before_turn(self) -> Sequence[BaseChatMessage]:
        """Messages that have arrived between turns."""
        if self.checkpoint is not None:
            await self.checkpoint(self)
        return () if self.inbox is None else self.inbox()

    def _begin(self) -> None:
        """Begin another run, after the messages of a nested team whose turn was interrupted."""
        speakers, self._run = self._run.nested, RunRecord()
        for speaker in speakers:
            turn = self._seats[speaker].cut_off()
            self._deliver(speaker, turn.messages)
            self._thread.extend(turn.delta)

    async def _receive(self, news: Sequence[BaseChatMessage], emit: Emit[AnyMessage]) -> None:
        self._deliver_unheard()
        for seat in self._seats.values():
            seat.receive(news)
        self._thread.extend(news)
        self._ending.add(news)
        for message in news:
            await emit(message)
        await self._decide(self._own_end())

    def _decide(self, own: tuple[str, str] | None) -> Awaitable[None]:
        return self._ending.decide() if own is None else self._ending.end(*own)

    # These two return the coroutine of another method: one of their own for each turn would take
    # as long as what they do.

    def _next_speakers(
        self, token: CancellationToken, emit: Emit[AnyMessage]
    ) -> tuple[str, ...] | Awaitable[tuple[str, ...]]:
        run = self._run
        if self._waiting:  # those whose turns were interrupted
            return tuple(self._waiting)
        if run.nested:
            return tuple(run.nested)
        run.begin_turn()
        choice = self._select_speaker(token, emit)
        if not self._emit_team_events and isinstance(choice, _AT_ONCE):
            return self._notified(choice)
        return self._announced(choice, emit)

    async def _announced(
        self,
        choice: str | tuple[str, ...] | Awaitable[str | tuple[str, ...]],
        emit: Emit[AnyMessage],
    ) -> tuple[str, ...]:
        if isinstance(choice, _AT_ONCE):
            speakers = self._notified(choice)
        else:
            chosen = await choice
            speakers = self._notified((chosen,) if isinstance(chosen, str) else chosen)
        if self._emit_team_events and speakers:
            await emit(
                messages.SelectSpeakerEvent(content=list(speakers), source=self._manager_name)
            )
        return speakers

    def _notified(self, choice: str | tuple[str, ...]) -> tuple[str, ...]:
        if isinstance(choice, str):  # there was no choice
            return (choice,)
        if self.observer is not None and choice:
            self.observer.speaker_selected(list(choice))
        return choice

    def _take_turns(
        self, speakers: tuple[str, ...], token: CancellationToken, emit: Emit[AnyMessage]
    ) -> Awaitable[None]:
        number, self.speakers = self._ending.turns + 1, len(speakers)
        if self.observer is not None:
            for speaker in speakers:
                self.observer.turn_started(number, speaker)
        if len(speakers) == 1:
            return self._take_turn(speakers[0], number, token, emit)
        return self._take_turns_at_once(speakers, number, token, emit)

    async def _take_turns_at_once(
        self,
        speakers: tuple[str, ...],
        number: int,
        token: CancellationToken,
        emit: Emit[AnyMessage],
    ) -> None:
        self._waiting, self._cut_off, self._unshown = list(speakers), [], 0

        async def speak_again(name: str, emit: Emit[AnyMessage]) -> None:
            for _ in range(speakers.count(name)):
                await self._take_turn(name, number, token, emit, is_one_of_several=True)

        names = dict.fromkeys(speakers)
        works = [
            partial(self._take_turn, name, number, token, is_one_of_several=True)
            if len(names) == len(speakers)
            else partial(speak_again, name)
            for name in names
        ]
        # Not before the last message of each finished turn was taken: it would be lost.
        await emit_together(works, emit, until=lambda: bool(self._cut_off) and not self._unshown)
        if self.observer is not None:
            for name in self._cut_off:
                self.observer.turn_completed(number, name)

    async def _take_turn(
        self,
        speaker: str,
        number: int,
        token: CancellationToken,
        emit: Emit[AnyMessage],
        *,
        is_one_of_several: bool = False,
    ) -> None:
        observer = self.observer
        shown: list[AnyMessage] = []

        async def show(message: AnyMessage) -> None:
            shown.append(message)
            await emit(message)

        seat = self._seats[speaker]
        self._run.forget(speaker)
        if seat.continues:
            self._run.nested.append(speaker)
        turn = await seat.speak(token, show)
        if is_one_of_several and speaker not in self._waiting:
            return  # it was cut off, and has ended before it was cancelled
        # Recorded before it is shown: a caller that leaves the stream here has it in the state.
        self._record(speaker, turn, shown)
        if turn.closing is not None:
            self._unshown += 1
            await emit(turn.closing)
            self._unshown -= 1
        if observer is not None:
            observer.turn_completed(number, speaker)

    def _record(self, speaker: str, turn: Turn, shown: Sequence[AnyMessage]) -> None:
        # Without an await, so that a cancel finds it done or not begun. First what may raise.
        self._turn_over(speaker, turn)
        if self._waiting:
            self._waiting.remove(speaker)
            if self._has_enough():
                self._cut_off_others()
        self._deliver(speaker, turn.messages)
        if not self._waiting:
            if self._unheard:
                self._deliver_unheard()
            self._ending.turns += 1
        self._thread.extend(turn.delta)
        self._ending.add(turn.delta)
        usage = self._seats[speaker].take_unseen_usage()
        if usage is not None:
            self._count_usage(usage, is_seen=False)
        self._run.complete_turn(
            speaker, turn.delta if turn.closing is None else [*shown, turn.closing]
        )

    def _save_at_once(self) -> JsonObject:
        """The fields of a state of a team whose members speak at the same time."""
        unheard = [(name, [message.id for message in said]) for name, said in self._unheard]
        return {"active_nodes": self._waiting, "unheard": unheard}

    def _load_at_once(self, state: "teams.state.SeveralAtOnceState") -> None:
        """Continue the turns that were under way, after the conversation was loaded."""
        said = {m.id: m for m in self._thread if isinstance(m, BaseChatMessage)}
        for name, ids in state.unheard:
            if name not in self._seats or not said.keys() >= set(ids):
                raise damaged("unheard", "names a participant or message that the state lacks")
        self._unheard = [(name, [said[id] for id in ids]) for name, ids in state.unheard]
        self._waiting = state.active_nodes

    def _cut_off_others(self) -> None:
        """End the turns of the others who speak at the same time; what they have said is lost."""
        self._cut_off, self._waiting = self._waiting, []
        for name in self._cut_off:
            self._seats[name].cut_off()
            self._run.forget(name)

    async def _say(self, message: BaseChatMessage, emit: Emit[AnyMessage]) -> None:
        """Add a message of the team itself to the conversation, within `_select_speaker`."""
        self._deliver(message.source, (message,))
        self._thread.append(message)
        await emit(message)

    def _deliver_unheard(self) -> None:
        for name, said in self._unheard:
            self._seats[name].receive(said)
        self._unheard = []

    def _continues(self, name: str) -> bool:
        """Whether this is a nested team, which continues its interrupted turn."""
        return name in self._seats and self._seats[name].continues

    def _deliver(self, speaker: str, messages: Sequence[BaseChatMessage]) -> None:
        waiting = self._waiting
        for name, seat in self._seats.items():
            if name == speaker:
                continue
            if name in waiting:
                # Those who speak at the same time hear each other when all of them have spoken.
                self._unheard.append((name, messages))
            else:
                seat.receive(messages)
