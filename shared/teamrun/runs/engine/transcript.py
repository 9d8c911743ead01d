"""What the end of a run needs to know of the conversation."""

from teamrun.messages.chat import BaseChatMessage

__all__ = ["Transcript"]


class Transcript:
    """The place of a run in its conversation; run code updates it."""

    __slots__ = ("latest", "output_sources", "turn")

    def __init__(self) -> None:
        self.turn = 0
        """The current turn of the team, from 1."""
        self.latest: BaseChatMessage | None = None
        """The last message that counts as output."""
        self.output_sources: frozenset[str] | None = None
        """Agents whose messages count as output; None for all."""
