"""Which outside call is being made: set by the engine around every call of a run."""

from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["CallInfo", "agent_name", "current_call"]


@dataclass(frozen=True, slots=True)
class CallInfo:
    """The place of one outside call (model, tool, memory, input) in its run."""

    call_id: str
    """Unique in the run, and the same in every replay: `{path of the agent}/{kind}:{position}`."""
    agent: str
    """The path of the agent that makes the call, such as `analysts/analyst`."""
    position: int
    """How many calls of this kind the agent has made before in this run."""
    run_id: str


current_call: ContextVar[CallInfo | None] = ContextVar("teamrun_current_call", default=None)
"""The call that this code is executing; None outside a run."""


def agent_name(path: str) -> str:
    """The agent's own name: the last part of its path."""
    return path.rpartition("/")[2]
