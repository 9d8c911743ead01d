"""The seam to memory: what an agent knows beyond the conversation.

Above it: agents, which call `update_context` before each answer. Below it: `list.py`, and
classes of the user's own.
"""

from abc import ABC, abstractmethod
from typing import Any

from pydantic import BaseModel

from teamrun.context.base import ChatCompletionContext
from teamrun.core.cancellation import CancellationToken
from teamrun.messages.content import MemoryContent, MemoryMimeType

__all__ = [
    "Memory",
    "MemoryContent",
    "MemoryMimeType",
    "MemoryQueryResult",
    "UpdateContextResult",
]


class MemoryQueryResult(BaseModel, defer_build=True):
    """What a query found."""

    results: list[MemoryContent]


class UpdateContextResult(BaseModel, defer_build=True):
    """What has been put into a model context."""

    memories: MemoryQueryResult


class Memory(ABC):
    """A store of knowledge that can be put into a model context."""

    @abstractmethod
    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Add what is relevant to the conversation in the context, and say what that was."""

    @abstractmethod
    async def query(
        self,
        query: str | MemoryContent,
        cancellation_token: CancellationToken | None = None,
        **kwargs: Any,
    ) -> MemoryQueryResult:
        """Find what is relevant to the query."""

    @abstractmethod
    async def add(
        self, content: MemoryContent, cancellation_token: CancellationToken | None = None
    ) -> None:
        """Remember."""

    @abstractmethod
    async def clear(self) -> None:
        """Forget everything."""

    @abstractmethod
    async def close(self) -> None:
        """Release resources."""
