"""A team whose members decide by handoffs who speaks next."""

from collections.abc import Sequence

from teamrun import teams
from teamrun.conditions.base import TerminationCondition
from teamrun.core import actors
from teamrun.core.cancellation import CancellationToken
from teamrun.core.emission import Emit
from teamrun.core.protocols import AnyMessage, ChatAgent
from teamrun.core.saved import read_state
from teamrun.json_types import JsonMapping
from teamrun.messages import BaseAgentEvent, BaseChatMessage, HandoffMessage
from teamrun.teams.base import BaseGroupChat
from teamrun.teams.participant import Turn

__all__ = ["Swarm"]


class Swarm(BaseGroupChat):
    """A team in which the target of the latest `HandoffMessage` speaks next.

    The first participant begins. A speaker that makes no handoff speaks again. An agent may hand
    off to a person, who is not a participant, if a `HandoffTermination` for that target ends the
    run; the next run then needs a task that is a `HandoffMessage` to a participant. See
    `BaseGroupChat` for the rest.

    Args:
        participants: Agents; teams are not accepted. The first one can hand off.
        name: The team's name; by default that of the class.
        description: The team's purpose.
        termination_condition: When to stop; by default at `max_turns`, or never.
        max_turns: Maximum number of turns of a run.
        custom_message_types: Classes of messages that `load_state` requires.
        emit_team_events: Yield the selected speaker before each turn.
        runtime: Accepted as in AutoGen, and not used: a team delivers its messages itself.
        agents: Another name of `participants`.

    Raises:
        TypeError: A participant is a team.
        ValueError: There is no participant, two have one name, or the first cannot hand off.
    """

    _manager_class = "SwarmGroupChatManager"

    def __init__(
        self,
        participants: Sequence[ChatAgent] | None = None,
        *,
        name: str | None = None,
        description: str | None = None,
        termination_condition: TerminationCondition | None = None,
        max_turns: int | None = None,
        custom_message_types: Sequence[type[BaseAgentEvent | BaseChatMessage]] = (),
        emit_team_events: bool = False,
        runtime: "actors.AgentRuntime | None" = None,
        agents: Sequence[ChatAgent] | None = None,
    ) -> None:
        super().__init__(
            participants,
            name=name,
            description=description,
            termination_condition=termination_condition,
            max_turns=max_turns,
            custom_message_types=custom_message_types,
            emit_team_events=emit_team_events,
            agents=agents,
        )
        self._require_agents()
        first = next(iter(self._seats.values()))
        if HandoffMessage not in first.message_types:
            raise ValueError(
                "The first participant must be able to produce a handoff messages. "
                f"Give {first.name!r} `handoffs`, or put another agent first."
            )
        self._current_speaker = first.name
        self._known = 0  # messages of the thread in which the latest handoff was looked for

    def _check_start(self, task: Sequence[BaseChatMessage]) -> None:
        if self._is_nested:
            return  # the handoffs in its task may be those of the outer team
        given = _latest_handoff(task)
        if given is not None:
            if given.target not in self._seats:
                raise ValueError(
                    f"The target {given.target} is not one of the participants "
                    f"{list(self._seats)}. If you are resuming Swarm with a new HandoffMessage "
                    "make sure to set the target to a valid participant as the target."
                )
            return
        pending = self._pending_handoff()
        if pending is not None and pending.target not in self._seats:
            raise ValueError(
                f"The existing handoff target {pending.target} is not one of the participants "
                f"{list(self._seats)}. If you are resuming Swarm with a new task make sure to "
                "include in your task a HandoffMessage with a valid participant as the target. "
                "For example, if you are resuming from a HandoffTermination, make sure the new "
                "task is a HandoffMessage with a valid participant as the target."
            )

    def handoff_to_person(self, said: Sequence[BaseChatMessage]) -> HandoffMessage | None:
        """The handoff to a person that comes last in the conversation."""
        latest = _latest_handoff(said) or self._pending_handoff()
        if latest is None or latest.target in self._seats or latest.source not in self._seats:
            return None
        return latest

    def _select_speaker(self, token: CancellationToken, emit: Emit[AnyMessage]) -> tuple[str]:
        handoff = self._pending_handoff()
        if handoff is not None:
            if handoff.target not in self._seats:
                raise ValueError(
                    f"{handoff.source!r} has handed off to {handoff.target!r}, which is not one of "
                    f"the participants {list(self._seats)}. If it is a person, add "
                    f"HandoffTermination({handoff.target!r}) to the termination condition."
                )
            self._current_speaker = handoff.target
        self._known = len(self._thread)
        return (self._current_speaker,)

    def _pending_handoff(self) -> HandoffMessage | None:
        """The latest handoff that has not selected a speaker yet.

        Handoffs between members of an outer team are none of this one's.
        """
        for message in reversed(self._thread[self._known :]):
            if isinstance(message, HandoffMessage) and (
                message.target in self._seats or message.source in self._seats
            ):
                return message
        return None

    def _give_turn(self, name: str) -> None:
        self._current_speaker, self._known = name, len(self._thread)

    def _turn_over(self, speaker: str, turn: Turn) -> None:
        pass

    def _begin_order(self) -> None:
        self._current_speaker, self._known = next(iter(self._seats)), 0

    def _save_manager(self, common: JsonMapping) -> "teams.state.SwarmManagerState":
        return teams.state.SwarmManagerState(**common, current_speaker=self._current_speaker)

    async def _load_manager(self, state: JsonMapping) -> "teams.state.SwarmManagerState":
        manager = read_state(teams.state.SwarmManagerState, state, self._manager_name)
        if manager.current_speaker not in self._seats:
            raise ValueError(
                f"The state names {manager.current_speaker!r} as the current speaker, which is not "
                f"one of the participants {list(self._seats)}."
            )
        self._current_speaker, self._known = manager.current_speaker, 0
        return manager


def _latest_handoff(messages: Sequence[BaseChatMessage]) -> HandoffMessage | None:
    # Without a target it is a conversation, as SocietyOfMindAgent passes it on.
    handoffs = (m for m in reversed(messages) if isinstance(m, HandoffMessage) and m.target)
    return next(handoffs, None)
