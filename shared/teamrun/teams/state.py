"""The state of a team as JSON data, in AutoGen's layout.

Version 1.0.0: `agent_states` holds one container per participant, by name, and the manager of
the team under the name of the team's class with `Manager` behind it. `termination` and
`undecided` in the manager are ours; AutoGen neither writes nor reads them.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "BaseGroupChatManagerState",
    "BaseState",
    "ChatAgentContainerState",
    "RoundRobinManagerState",
    "SelectorManagerState",
    "TeamState",
]


class BaseState(BaseModel):
    """The base of saved states."""

    model_config = ConfigDict(defer_build=True)

    type: str = "BaseState"
    version: str = "1.0.0"


class TeamState(BaseState):
    """A team with its participants and its manager."""

    type: str = "TeamState"
    agent_states: dict[str, Any] = {}
    """By the name of the participant or manager."""


class ChatAgentContainerState(BaseState):
    """A participant, and what it has not been told yet."""

    type: str = "ChatAgentContainerState"
    agent_state: dict[str, Any] = {}
    message_buffer: list[dict[str, Any]] = []


class BaseGroupChatManagerState(BaseState):
    """What managers of all kinds of teams keep."""

    type: str = "BaseGroupChatManagerState"
    message_thread: list[dict[str, Any]] = []
    """Everything said and done so far, the tasks included."""
    current_turn: int = 0
    """Turns taken in a run that was cut short; 0 between runs."""
    termination: dict[str, Any] | None = None
    """The counts of the termination condition in a run that was cut short."""
    undecided: int = Field(default=0, ge=0)
    """How many of the last messages the termination condition has not seen in such a run."""


class RoundRobinManagerState(BaseGroupChatManagerState):
    """The manager of a `RoundRobinGroupChat`."""

    type: str = "RoundRobinManagerState"
    next_speaker_index: int = 0


class SelectorManagerState(BaseGroupChatManagerState):
    """The manager of a `SelectorGroupChat`."""

    type: str = "SelectorManagerState"
    previous_speaker: str | None = None
