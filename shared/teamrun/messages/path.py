"""Where a message comes from: the agents, tools and teams that enclose its sender.

A nested team, the team of a `SocietyOfMindAgent`, and an agent or team used as a tool mark what
they produce when it passes to the outside. So a message of an inner agent, and the task that an
agent delegates, can be told from those of the conversation itself.
"""

from typing import Final

from teamrun.messages.chat import BaseMessage

__all__ = ["mark_inside", "path_of"]

_NONE: Final[tuple[str, ...]] = ()

# A slot, for the reasons of `BaseChatMessage`: the mark is no part of the message's data.
_slot = vars(BaseMessage)["_path"]


def mark_inside(item: object, *names: str) -> None:
    """Put names in front of the path of a message or event; other objects are ignored.

    Args:
        item: What an agent or team has produced.
        names: Those that enclose it, the outermost first.
    """
    if isinstance(item, BaseMessage):
        _slot.__set__(item, (*names, *path_of(item)))


def path_of(item: BaseMessage) -> tuple[str, ...]:
    """The names of those that enclose the sender, the outermost first; empty if none does."""
    try:
        return _slot.__get__(item, BaseMessage)
    except AttributeError:
        return _NONE
