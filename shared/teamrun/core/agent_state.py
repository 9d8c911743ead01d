"""The states of an agent."""

from enum import StrEnum

__all__ = ["AgentState"]


class AgentState(StrEnum):
    """What an agent is doing."""

    CREATED = "created"
    INITIALIZED = "initialized"
    """A team has taken it in, or its `on_initialized` functions have been called."""
    RUNNING = "running"
    PAUSED = "paused"
    """Its team is paused."""
    COMPLETED = "completed"
    """It has answered."""
    ERROR = "error"
    """Its last turn raised an exception."""
