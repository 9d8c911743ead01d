"""The seam to memory: information for an agent beyond the conversation.

Above it: agents, which call `update_context` before each answer. Below it: `list.py`, and
classes of the user's own.
"""

from abc import ABC, abstractmethod
from typing import Any

from pydantic import BaseModel

from teamrun.context.base import ChatCompletionContext
from teamrun.core.cancellation import CancellationToken
from teamrun.core.component.base import ComponentBase
from teamrun.messages.content import MemoryContent, MemoryMimeType

__all__ = [
    "Memory",
    "MemoryContent",
    "MemoryMimeType",
    "MemoryQueryResult",
    "UpdateContextResult",
]


class MemoryQueryResult(BaseModel, defer_build=True):
    """The results of a query."""

    results: list[MemoryContent]


class UpdateContextResult(BaseModel, defer_build=True):
    """The memories that were added to a model context."""

    memories: MemoryQueryResult


class Memory(ComponentBase[BaseModel], ABC):
    """A store of knowledge that can be put into a model context."""

    @abstractmethod
    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Add the memories that are relevant to the context's conversation, and return them."""

    @abstractmethod
    async def query(
        self,
        query: str | MemoryContent,
        cancellation_token: CancellationToken | None = None,
        **kwargs: Any,
    ) -> MemoryQueryResult:
        """Find memories that are relevant to the query."""

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
