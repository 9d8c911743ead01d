"""Messages from outside to the team."""

from teamrun.runs.log.entries import Signal

__all__ = ["Inbox"]


class Inbox:
    """Messages that the team has not read yet."""

    def __init__(self) -> None:
        self.waiting: list[Signal] = []

    def add(self, signal: Signal) -> None:
        """Keep a message until the team reads it."""
        self.waiting.append(signal)

    def take(self) -> list[Signal]:
        """The unread messages, which are read now."""
        taken, self.waiting = self.waiting, []
        return taken

    def unread(self) -> list[str]:
        """The texts of the unread messages."""
        return [signal.content or "" for signal in self.waiting]
