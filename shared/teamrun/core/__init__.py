"""The protocols of agents and teams, components, cancellation, and the position of a call."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.core.call import CallInfo, current_call
    from teamrun.core.cancellation import CancellationToken
    from teamrun.core.component import (
        Component,
        ComponentBase,
        ComponentLoader,
        ComponentModel,
        ComponentWarning,
    )
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
    "Component",
    "ComponentBase",
    "ComponentLoader",
    "ComponentModel",
    "ComponentWarning",
    "Response",
    "Task",
    "TaskResult",
    "TaskRunner",
    "Team",
    "TerminationCondition",
    "current_call",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".call": ("CallInfo", "current_call"),
        ".cancellation": ("CancellationToken",),
        ".component": (
            "Component",
            "ComponentBase",
            "ComponentLoader",
            "ComponentModel",
            "ComponentWarning",
        ),
        ".protocols": (
            "AnyMessage",
            "ChatAgent",
            "Response",
            "Task",
            "TaskResult",
            "TaskRunner",
            "Team",
            "TerminationCondition",
        ),
    },
)
