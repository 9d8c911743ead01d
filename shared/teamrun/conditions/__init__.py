"""When a team stops."""

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
