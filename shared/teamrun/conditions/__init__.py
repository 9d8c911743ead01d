"""When a team stops."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.conditions.base import (
        AndTerminationCondition,
        ComposedTermination,
        OrTerminationCondition,
        TerminationCondition,
    )
    from teamrun.conditions.counts import (
        MaxMessageTermination,
        TimeoutTermination,
        TokenUsageTermination,
    )
    from teamrun.conditions.events import FunctionCallTermination, HandoffTermination
    from teamrun.conditions.outside import ExternalTermination, FunctionalTermination
    from teamrun.conditions.text import (
        SourceMatchTermination,
        StopMessageTermination,
        TextMentionTermination,
        TextMessageTermination,
    )

__all__ = [
    "AndTerminationCondition",
    "ComposedTermination",
    "ExternalTermination",
    "FunctionCallTermination",
    "FunctionalTermination",
    "HandoffTermination",
    "MaxMessageTermination",
    "OrTerminationCondition",
    "SourceMatchTermination",
    "StopMessageTermination",
    "TerminationCondition",
    "TextMentionTermination",
    "TextMessageTermination",
    "TimeoutTermination",
    "TokenUsageTermination",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".base": (
            "AndTerminationCondition",
            "ComposedTermination",
            "OrTerminationCondition",
            "TerminationCondition",
        ),
        ".counts": ("MaxMessageTermination", "TimeoutTermination", "TokenUsageTermination"),
        ".events": ("FunctionCallTermination", "HandoffTermination"),
        ".outside": ("ExternalTermination", "FunctionalTermination"),
        ".text": (
            "SourceMatchTermination",
            "StopMessageTermination",
            "TextMentionTermination",
            "TextMessageTermination",
        ),
    },
)
