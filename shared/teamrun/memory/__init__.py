"""Memory: information for an agent beyond the conversation."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.memory.base import (
        Memory,
        MemoryContent,
        MemoryMimeType,
        MemoryQueryResult,
        UpdateContextResult,
    )
    from teamrun.memory.list import ListMemory

__all__ = [
    "ListMemory",
    "Memory",
    "MemoryContent",
    "MemoryMimeType",
    "MemoryQueryResult",
    "UpdateContextResult",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".base": (
            "Memory",
            "MemoryContent",
            "MemoryMimeType",
            "MemoryQueryResult",
            "UpdateContextResult",
        ),
        ".list": ("ListMemory",),
    },
)
