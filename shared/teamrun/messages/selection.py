"""Events of the selection of a speaker."""

from typing import Literal

from teamrun.messages.events import BaseAgentEvent

__all__ = ["SelectSpeakerEvent", "SelectorEvent"]


class SelectSpeakerEvent(BaseAgentEvent):
    """A team selected the next speaker."""

    content: list[str]
    """The names of the speakers."""
    type: Literal["SelectSpeakerEvent"] = "SelectSpeakerEvent"

    def to_text(self) -> str:
        """The names in Python notation."""
        return str(self.content)


class SelectorEvent(BaseAgentEvent):
    """The answer of the model that selects speakers."""

    content: str
    type: Literal["SelectorEvent"] = "SelectorEvent"

    def to_text(self) -> str:
        """The model's text."""
        return self.content
