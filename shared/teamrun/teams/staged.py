"""The base class of teams that work in steps: who speaks follows from the steps before.

A subclass returns the speakers of each step, from its number and from what the members have said.
They speak at the same time. Everything else is here: instructions, interruption, state.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypedDict, Unpack

from teamrun import teams
from teamrun.conditions.base import TerminationCondition
from teamrun.core.cancellation import CancellationToken
from teamrun.core.emission import Emit
from teamrun.core.protocols import AnyMessage, ChatAgent, Team
from teamrun.core.saved import damaged, read_state
from teamrun.json_types import JsonMapping
from teamrun.messages import BaseAgentEvent, BaseChatMessage, MessageFactory, TextMessage
from teamrun.teams.base import BaseGroupChat
from teamrun.teams.participant import Turn

__all__ = ["StagedTeam", "TeamOptions"]


class TeamOptions(TypedDict, total=False):
    """The arguments of `BaseGroupChat` that all teams in steps take."""

    name: str | None
    description: str | None
    termination_condition: TerminationCondition | None
    max_turns: int | None
    custom_message_types: Sequence[type[BaseAgentEvent | BaseChatMessage]]
    emit_team_events: bool
    agents: Sequence[ChatAgent | Team] | None


class StagedTeam(BaseGroupChat):
    """A team that works in steps, each of which is one turn of one or several members.

    When there is no further step, the run ends. A run that ended for another reason, such as a
    condition, is continued by the next one, with or without a task. If a member fails, the turns of
    those who speak at the same time are cancelled. See `BaseGroupChat` for the rest.
    """

    _end: ClassVar[tuple[str, str]] = ("All steps are complete.", "steps_complete")

    def __init__(
        self,
        participants: Sequence[ChatAgent | Team] | None = None,
        **options: Unpack[TeamOptions],
    ) -> None:
        super().__init__(participants, **options)
        self._names = tuple(self._seats)
        self._begin_order()

    @abstractmethod
    def _speakers(self, step: int) -> Sequence[str]:
        """Who speaks in a step; an empty result means that the steps are complete."""

    def _instruction(self, step: int) -> str | None:
        """What the team says before a step."""
        return None

    def _parts(self, step: int) -> Mapping[str, str]:
        """What the team tells a speaker of a step alone, by name."""
        return {}

    def _final_message(self) -> BaseChatMessage | None:
        """What the team says after the last step."""
        return None

    def _member(self, name: str | None, parameter: str) -> tuple[str, ...]:
        """The member with a role, or an empty result if there is none.

        Raises:
            ValueError: It is no participant.
        """
        if name is not None and name not in self._seats:
            raise ValueError(
                f"`{parameter}` is {name!r}, which is none of the participants {list(self._seats)}."
            )
        return () if name is None else (name,)

    def _others(self, *roles: str, at_least: int = 1) -> tuple[str, ...]:
        """The members without a role.

        Raises:
            ValueError: There are too few.
        """
        others = tuple(name for name in self._names if name not in roles)
        if len(others) < at_least:
            besides = f" besides {' and '.join(map(repr, roles))}" if roles else ""
            raise ValueError(
                f"{type(self).__name__} needs at least {at_least} participants{besides}, and has "
                f"{len(others)}."
            )
        return others

    def _begin_order(self) -> None:
        self._step, self._told, self._is_over = 0, -1, False
        self._said: dict[str, BaseChatMessage] = {}
        """The latest message of each member, in the order in which they came."""

    def _text_of(self, name: str) -> str:
        return self._said[name].to_text() if name in self._said else ""

    async def _select_speaker(
        self, token: CancellationToken, emit: Emit[AnyMessage]
    ) -> tuple[str, ...]:
        if self._is_over:
            return ()
        step, speakers = self._step, tuple(self._speakers(self._step))
        # Noted before it is said: after an interruption, it is not said again.
        if not speakers:
            self._is_over, final = True, self._final_message()
            if final is not None:
                await self._say(final, emit)
        elif self._told < step:
            self._told = step
            for name, text in self._parts(step).items():
                self._seats[name].receive([self._message(text)])
            text = self._instruction(step)
            if text is not None:
                await self._say(self._message(text), emit)
        return speakers

    def _message(self, text: str) -> TextMessage:
        return TextMessage(content=text, source=self._manager_name)

    def _turn_over(self, speaker: str, turn: Turn) -> None:
        if turn.messages:
            self._said.pop(speaker, None)
            self._said[speaker] = turn.messages[-1]
        if len(self._waiting) < 2 or self._has_enough():
            self._step += 1

    def _concludes(self) -> bool:
        return self._is_over or not self._speakers(self._step)

    def _own_end(self) -> tuple[str, str] | None:
        if not self._is_over:
            return None
        self._begin_order()
        return self._end

    def _give_turn(self, name: str) -> None:
        """Let a member of the last step speak again, before the next step."""
        if self._step:
            self._step, self._waiting, self._is_over = self._step - 1, [name], False

    def _save_manager(self, common: JsonMapping) -> "teams.state.StagedManagerState":
        return teams.state.StagedManagerState(
            **common,
            **self._save_at_once(),
            step=self._step,
            said={name: message.id for name, message in self._said.items()},
            told=self._told,
            is_over=self._is_over,
        )

    async def _load_manager(self, state: JsonMapping) -> "teams.state.StagedManagerState":
        manager = read_state(teams.state.StagedManagerState, state, self._manager_name)
        strangers = [n for n in (*manager.active_nodes, *manager.said) if n not in self._seats]
        if strangers:
            raise ValueError(
                f"The state names {strangers[0]!r}, which is not one of the participants "
                f"{list(self._seats)}."
            )
        return manager

    async def _load_own(self, state: JsonMapping, factory: MessageFactory) -> None:
        await super()._load_own(state, factory)
        manager = read_state(teams.state.StagedManagerState, state, self._manager_name)
        thread = {m.id: m for m in self._thread if isinstance(m, BaseChatMessage)}
        self._load_at_once(manager)
        if not thread.keys() >= set(manager.said.values()):
            raise damaged("said", "names a message that is not in the thread")
        self._step, self._told, self._is_over = manager.step, manager.told, manager.is_over
        self._said = {name: thread[id] for name, id in manager.said.items()}
