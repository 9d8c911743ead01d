"""What the end of a run needs to know of the conversation."""

from dataclasses import dataclass

from teamrun.messages.chat import BaseChatMessage

__all__ = ["Transcript"]


@dataclass(slots=True)
class Transcript:
    """The place of a run in its conversation; run code updates it."""

    turn: int = 0
    """The current turn of the team, from 1."""
    latest: BaseChatMessage | None = None
    """The last message that counts as output."""
    output_sources: frozenset[str] | None = None
    """Agents whose messages count as output; None for all."""
