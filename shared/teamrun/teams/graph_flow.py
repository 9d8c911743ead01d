"""A team whose members speak along the edges of a graph, also several at the same time."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeAlias

from teamrun import teams
from teamrun.conditions.base import TerminationCondition
from teamrun.core import actors
from teamrun.core.cancellation import CancellationToken
from teamrun.core.checks import wrong_type
from teamrun.core.emission import Emit
from teamrun.core.protocols import AnyMessage, ChatAgent
from teamrun.core.saved import damaged, read_state
from teamrun.json_types import JsonMapping
from teamrun.messages import BaseAgentEvent, BaseChatMessage, MessageFactory
from teamrun.teams.base import BaseGroupChat
from teamrun.teams.digraph import DiGraph, DiGraphEdge
from teamrun.teams.participant import Turn

__all__ = ["GraphFlow"]

_COMPLETE: Final = ("Digraph execution is complete", "graph_complete")


class GraphFlow(BaseGroupChat):
    """A team whose order of speakers is a graph.

    The start nodes begin. After the turn of a node, the edges from it whose conditions its message
    fulfils are followed. A node speaks when all edges of an activation group that leads to it were
    followed, or any one, as the edges say. All nodes that are ready speak at the same time; the
    termination condition, which gets the messages of all of them, and `max_turns` are checked when
    the last one has spoken. If one of them fails, the turns of the others are cancelled.

    When no node is ready, the run ends, whatever the condition says, and the next one begins at the
    start nodes. A run that ended for another reason is continued by the next one, with or without a
    task. See `BaseGroupChat` for the rest.

    Args:
        participants: Agents; teams are not accepted.
        graph: The graph; each node is named like a participant.
        name: The team's name; by default that of the class.
        description: The team's purpose.
        termination_condition: When to stop before the end of the graph.
        max_turns: Maximum number of turns of a run; nodes that speak at the same time share a turn.
        custom_message_types: Classes of messages that `load_state` requires.
        emit_team_events: Yield the selected speakers before each turn.
        runtime: Accepted as in AutoGen, and not used: a team delivers its messages itself.
        agents: Another name of `participants`.

    Raises:
        TypeError: A participant is a team, or there is no graph.
        ValueError: The graph cannot be executed, has a node that is no participant, or has a cycle
            without `termination_condition` or `max_turns`.
    """

    _manager_class = "GraphManager"

    def __init__(
        self,
        participants: Sequence[ChatAgent] | None = None,
        graph: DiGraph | None = None,
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
        if not isinstance(graph, DiGraph):
            raise wrong_type("graph", "a DiGraph, such as DiGraphBuilder().build()", graph)
        has_cycles = graph.checked_for_cycles()
        strangers = [node for node in graph.nodes if node not in self._seats]
        if strangers:
            raise ValueError(
                f"Speaker {strangers[0]} not found in participant names. The participants are "
                f"{list(self._seats)}."
            )
        if termination_condition is None and max_turns is None and has_cycles:
            raise ValueError(
                "A termination condition is required for cyclic graphs without a maximum turn "
                "limit."
            )
        self._graph = graph
        self._starts = graph.starts()
        self._whole = graph.get_remaining_map()
        self._begin_order()

    def _begin_order(self) -> None:
        self._ready = [*self._starts]
        """The nodes that speak now, those whose turns are under way first, then the next ones."""
        # The groups of a node are replaced and never changed: `_before` has them, too.
        self._remaining = {**self._whole}
        """The edges that each group still waits for; none left: it has made its node ready."""
        self._enqueued_any = {node: dict.fromkeys(of, False) for node, of in self._whole.items()}
        """Whether a group of which any edge is enough has made its node ready."""
        self._before = self._order()
        self._followed: list[tuple[str, list[DiGraphEdge]]] = []
        """The edges that were followed in the present step, with the nodes that have spoken."""

    def _order(self) -> "_Order":
        return [*self._ready], {**self._remaining}, {**self._enqueued_any}

    def _own_end(self) -> tuple[str, str] | None:
        if self._ready:
            return None
        self._begin_order()
        return _COMPLETE

    def _select_speaker(self, token: CancellationToken, emit: Emit[AnyMessage]) -> tuple[str, ...]:
        return self._select()

    def _select(self) -> tuple[str, ...]:
        # They stay in `_ready` until they have spoken, so that a saved state names them.
        for node in self._ready:
            groups = self._remaining.get(node)
            if groups is None:  # no edge leads to it
                continue
            self._remaining[node] = self._anew(node, groups)
            self._enqueued_any[node] = dict.fromkeys(groups, False)
        self._before, self._followed = self._order(), []
        return tuple(self._ready)

    def _anew(self, node: str, groups: dict[str, int]) -> dict[str, int]:
        """What the groups wait for when those that have made the node ready begin again."""
        whole = self._whole[node]
        return {group: left if left > 0 else whole[group] for group, left in groups.items()}

    def _turn_over(self, speaker: str, turn: Turn) -> None:
        self._spoken(speaker, turn.messages[-1])

    def _spoken(self, speaker: str, message: BaseChatMessage) -> None:
        edges = self._graph.nodes[speaker].edges
        self._follow(speaker, [edge for edge in edges if edge.check_condition(message)])

    def _follow(self, speaker: str, edges: list[DiGraphEdge]) -> None:
        self._followed.append((speaker, edges))
        self._ready.remove(speaker)
        for edge in edges:
            target, group = edge.target, edge.activation_group
            if edge.activation_condition == "any":
                known = self._enqueued_any[target]
                if not known[group]:
                    self._enqueued_any[target] = {**known, group: True}
                    self._ready.append(target)
            else:
                left = self._remaining[target][group] - 1
                self._remaining[target] = {**self._remaining[target], group: left}
                if left == 0:
                    self._ready.append(target)

    def _give_turn(self, name: str) -> None:
        """Let a node of the last step speak again, before the next ones, as if it had not yet."""
        others = [each for each in self._followed if each[0] != name]
        turns = len(self._followed) - len(others)
        if turns:
            self._ready, self._remaining, self._enqueued_any = self._before
            self._before, self._followed = self._order(), []
            for speaker, edges in others:
                self._follow(speaker, edges)
            self._waiting = [name] * turns

    def _save_manager(self, common: JsonMapping) -> "teams.state.GraphManagerState":
        return teams.state.GraphManagerState(
            **common,
            remaining=self._remaining,
            enqueued_any=self._enqueued_any,
            ready=self._ready,
            **self._save_at_once(),
        )

    async def _load_manager(self, state: JsonMapping) -> "teams.state.GraphManagerState":
        manager = read_state(teams.state.GraphManagerState, state, self._manager_name)
        groups = {node: of.keys() for node, of in self._whole.items()}
        for saved in (manager.remaining, manager.enqueued_any):
            if {node: of.keys() for node, of in saved.items()} != groups:
                raise ValueError("The state is of another graph: its edges are different.")
        for node, of in manager.remaining.items():
            for group, left in of.items():
                if left > self._whole[node][group]:
                    raise damaged(
                        f"remaining.{node}.{group}",
                        f"is {left}, but the group has {self._whole[node][group]} edges",
                    )
        unknown = {*manager.ready, *manager.active_nodes} - self._graph.nodes.keys()
        if unknown or Counter(manager.active_nodes) - Counter(manager.ready):
            raise ValueError(
                f"The state is of another graph: its ready nodes are {manager.ready}, those whose "
                f"turns are under way {manager.active_nodes}, and the graph has "
                f"{list(self._graph.nodes)}."
            )
        return manager

    async def _load_own(self, state: JsonMapping, factory: MessageFactory) -> None:
        await super()._load_own(state, factory)
        manager = read_state(teams.state.GraphManagerState, state, self._manager_name)
        self._begin_order()
        self._load_at_once(manager)
        if manager.ready:
            self._ready, self._enqueued_any = manager.ready, manager.enqueued_any
            # AutoGen 0.7.5 does not count anew after loading: such a node never speaks again there.
            self._remaining = {
                node: of if node in self._ready else self._anew(node, of)
                for node, of in manager.remaining.items()
            }
        else:
            self._follow_thread()

    def _follow_thread(self) -> None:
        """Find out from the conversation which nodes speak next.

        AutoGen saves no ready nodes while turns are under way, and then never takes these turns.
        """
        self._waiting = []
        for message in self._thread:
            if not self._waiting:
                self._own_end()
                self._waiting = [*self._select()]
            if isinstance(message, BaseChatMessage) and message.source in self._waiting:
                self._waiting.remove(message.source)
                self._spoken(message.source, message)
        self._own_end()


_Order: TypeAlias = tuple[list[str], dict[str, dict[str, int]], dict[str, dict[str, bool]]]
