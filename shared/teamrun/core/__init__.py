"""The protocols of agents and teams, cancellation, and the position of a call in its run."""

from teamrun.core.call import CallInfo, current_call
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import (
    AnyMessage,
    ChatAgent,
    Response,
    Task,
    TaskResult,
    TaskRunner,
    Team,
    TerminationCondition,
)

__all__ = [
    "AnyMessage",
    "CallInfo",
    "CancellationToken",
    "ChatAgent",
    "Response",
    "Task",
    "TaskResult",
    "TaskRunner",
    "Team",
    "TerminationCondition",
    "current_call",
]
