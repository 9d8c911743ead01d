"""The outside call that is being made; the engine sets it around every call of a run."""

from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["CallInfo", "agent_name", "current_call"]


class CallInfo(NamedTuple):
    """The position of one outside call (model, tool, memory, input) in its run."""

    call_id: str
    """Unique in the run, and the same in every replay: `{path of the agent}/{kind}:{position}`."""
    agent: str
    """The path of the agent that makes the call, such as `analysts/analyst`."""
    position: int
    """The number of earlier calls of this kind by the agent in this run."""
    run_id: str
    is_batch: bool = False
    """Whether the run is an item of a batch, so that calls of other runs come first."""
    tenant: str = ""
    """The tenant of the run."""


current_call: ContextVar[CallInfo | None] = ContextVar("teamrun_current_call", default=None)
"""The call that this code is executing; None outside a run."""


def agent_name(path: str) -> str:
    """The agent's own name: the last part of its path."""
    return path.rpartition("/")[2]
