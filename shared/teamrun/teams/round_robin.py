"""A team whose participants speak one after another, again and again."""

from collections.abc import Sequence

from teamrun import teams
from teamrun.conditions.base import TerminationCondition
from teamrun.core import actors
from teamrun.core.cancellation import CancellationToken
from teamrun.core.emission import Emit
from teamrun.core.protocols import AnyMessage, ChatAgent, Team
from teamrun.core.saved import damaged, read_state
from teamrun.json_types import JsonMapping
from teamrun.messages import BaseAgentEvent, BaseChatMessage
from teamrun.teams.base import BaseGroupChat
from teamrun.teams.participant import Turn

__all__ = ["RoundRobinGroupChat"]


class RoundRobinGroupChat(BaseGroupChat):
    """A team whose participants speak in the order in which they are given.

    The order continues from run to run and restarts after `reset`. `agents` is another name of
    `participants`; see `BaseGroupChat` for the rest.
    """

    def __init__(
        self,
        participants: Sequence[ChatAgent | Team] | None = None,
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
        self._order = tuple(self._seats)
        self._begin_order()

    def _begin_order(self) -> None:
        self._next_speaker_index = 0

    def _select_speaker(self, token: CancellationToken, emit: Emit[AnyMessage]) -> str:
        return self._order[self._next_speaker_index]

    def _give_turn(self, name: str) -> None:
        self._next_speaker_index = self._order.index(name)

    def _turn_over(self, speaker: str, turn: Turn) -> None:
        self._next_speaker_index = (self._next_speaker_index + 1) % len(self._order)

    def _save_manager(self, common: JsonMapping) -> "teams.state.RoundRobinManagerState":
        return teams.state.RoundRobinManagerState(
            **common, next_speaker_index=self._next_speaker_index
        )

    async def _load_manager(self, state: JsonMapping) -> "teams.state.RoundRobinManagerState":
        manager = read_state(teams.state.RoundRobinManagerState, state, self._manager_name)
        if manager.next_speaker_index >= len(self._order):
            raise damaged(
                "next_speaker_index",
                f"is {manager.next_speaker_index}, but there are {len(self._order)} participants",
            )
        self._next_speaker_index = manager.next_speaker_index
        return manager
