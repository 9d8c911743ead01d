"""The state of a team as JSON data, in AutoGen's layout.

Version 1.0.0: `agent_states` has one container per participant, by name, and the manager of
the team under the name that AutoGen gives it, such as `RoundRobinGroupChatManager`.
`termination`, `undecided`, `run`, `under_way`, `shown`, `is_over`, `chosen`, `active_nodes`,
`unheard`, `is_planned`, `next_speaker` and `answered` are ours; AutoGen neither writes nor reads
them.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from teamrun.core.saved import MOST
from teamrun.json_types import JsonObject

__all__ = [
    "BaseGroupChatManagerState",
    "BaseState",
    "ChatAgentContainerState",
    "GraphManagerState",
    "MagenticOneOrchestratorState",
    "NestedTeamContainerState",
    "RoundRobinManagerState",
    "RunState",
    "SelectorManagerState",
    "SeveralAtOnceState",
    "StagedManagerState",
    "SwarmManagerState",
    "TeamState",
]

Count = Annotated[int, Field(strict=True, ge=0, le=MOST)]
_Left = Annotated[int, Field(strict=True, ge=-MOST, le=MOST)]


class BaseState(BaseModel):
    """The base of saved states."""

    model_config = ConfigDict(defer_build=True)

    type: str = "BaseState"
    version: str = "1.0.0"


class TeamState(BaseState):
    """A team with its participants and its manager."""

    type: str = "TeamState"
    agent_states: JsonObject = {}
    """By the name of the participant or manager."""


class ChatAgentContainerState(BaseState):
    """A participant, and the messages for its next turn."""

    type: str = "ChatAgentContainerState"
    agent_state: JsonObject = {}
    message_buffer: list[JsonObject] = []


class NestedTeamContainerState(ChatAgentContainerState):
    """A nested team as a participant; AutoGen's state of it lacks the current turn."""

    under_way: bool = False
    """Whether a turn of a nested team was interrupted."""
    shown: list[JsonObject] = []
    """Its messages of that turn, if its own state does not contain them."""
    is_over: bool = False
    """Whether the nested team has ended its part of that turn."""


def _as_list(nested: Any) -> Any:
    return ([nested] if nested else []) if nested is None or isinstance(nested, str) else nested


class RunState(BaseModel):
    """The last run of a team, which may have been interrupted."""

    model_config = ConfigDict(defer_build=True)

    task: list[str] = []
    """The ids of the messages that the run began with."""
    shown: list[str | JsonObject] = []
    """Its messages, without the task; a message of the thread is given by its id."""
    opening: list[JsonObject] = []
    nested: Annotated[list[str], BeforeValidator(_as_list)] = []
    """The nested teams whose turns are under way; earlier releases wrote one name or null."""
    is_over: bool = False
    stop_reason: str | None = None
    stop_code: str | None = None


class BaseGroupChatManagerState(BaseState):
    """The common state of the managers of all teams."""

    type: str = "BaseGroupChatManagerState"
    message_thread: list[JsonObject] = []
    """All messages and events, including the tasks."""
    current_turn: Count = 0
    """Turns taken in a run that was interrupted; 0 between runs."""
    termination: JsonObject | None = None
    """The counts of the termination condition in a run that was interrupted."""
    undecided: Count = 0
    """The number of last messages that the termination condition has not seen in that run."""
    run: RunState | None = None
    """The last run, so that it can go on."""


class RoundRobinManagerState(BaseGroupChatManagerState):
    """The manager of a `RoundRobinGroupChat`."""

    type: str = "RoundRobinManagerState"
    next_speaker_index: Count = 0


class SelectorManagerState(BaseGroupChatManagerState):
    """The manager of a `SelectorGroupChat`."""

    type: str = "SelectorManagerState"
    previous_speaker: str | None = None
    chosen: str | None = None
    """What `previous_speaker` becomes after the turn that was interrupted."""


class SwarmManagerState(BaseGroupChatManagerState):
    """The manager of a `Swarm`."""

    type: str = "SwarmManagerState"
    current_speaker: str = ""


class SeveralAtOnceState(BaseGroupChatManagerState):
    """The manager of a team whose members speak at the same time."""

    active_nodes: list[str] = []
    """Those whose turns were interrupted, if others spoke at the same time."""
    unheard: list[tuple[str, list[str]]] = []
    """The ids of messages that these get after their turns."""


class GraphManagerState(SeveralAtOnceState):
    """The manager of a `GraphFlow`."""

    type: str = "GraphManagerState"
    remaining: dict[str, dict[str, _Left]] = {}
    """The edges that each activation group of a node still waits for; below 0 if more were followed
    in the step that has made the node ready."""
    enqueued_any: dict[str, dict[str, bool]] = {}
    """Whether a group of which any edge is enough has made its node ready."""
    ready: list[str] = []
    """The nodes that speak next; AutoGen leaves out those whose turns are under way."""


class MagenticOneOrchestratorState(BaseGroupChatManagerState):
    """The orchestrator of a `MagenticOneGroupChat`."""

    type: str = "MagenticOneOrchestratorState"
    task: str = ""
    facts: str = ""
    plan: str = ""
    n_rounds: Count = 0
    """The number of progress ledgers in this run."""
    n_stalls: Count = 0
    is_planned: bool | None = None
    """Whether the agents have the present plan."""
    next_speaker: str | None = None
    """The agent that has its instruction and has not spoken yet."""
    answered: tuple[str, str] | None = None
    """The reason and code of the end, if the run was interrupted after the answer."""


class StagedManagerState(SeveralAtOnceState):
    """The manager of a team that works in steps, such as a `DebateGroupChat`."""

    type: str = "StagedManagerState"
    step: Count = 0
    """The number of steps that are complete."""
    said: dict[str, str] = {}
    """The ids of the latest messages by speaker, in the order in which they came."""
    told: Annotated[int, Field(strict=True, ge=-1, le=MOST)] = -1
    """The last step for which the team has given its instructions."""
    is_over: bool = False
