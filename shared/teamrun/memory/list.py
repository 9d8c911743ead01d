"""Memory in a list."""

from collections.abc import Sequence
from typing import Any

from teamrun.context.base import ChatCompletionContext
from teamrun.core.cancellation import CancellationToken
from teamrun.memory.base import Memory, MemoryContent, MemoryQueryResult, UpdateContextResult
from teamrun.messages.image import Image
from teamrun.messages.llm import SystemMessage, UserMessage

__all__ = ["ListMemory"]


class ListMemory(Memory):
    """Remembers in order, and finds everything.

    Args:
        name: Identifies the memory; by default `default_list_memory`.
        memory_contents: The initial contents.
    """

    def __init__(
        self,
        name: str | None = None,
        memory_contents: Sequence[MemoryContent] | None = None,
    ) -> None:
        self._name = name or "default_list_memory"
        self._contents = list(memory_contents or ())

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def content(self) -> list[MemoryContent]:
        """Everything remembered; may be set."""
        return self._contents

    @content.setter
    def content(self, value: Sequence[MemoryContent]) -> None:
        self._contents = list(value)

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Add one system message that lists everything, if there is anything.

        A message of the user with the images follows it, since system messages have only text. A
        model without vision sees `<image>`.
        """
        if self._contents:
            lines, images = list[str](), list[str | Image]()
            for n, memory in enumerate(self._contents, 1):
                found = memory.readable()
                lines.append(f"{n}. {found if isinstance(found, str) else '<image>'}")
                if isinstance(found, Image):
                    images += [f"Image {n} of the memory:", found]
            text = "\n".join(["", "Relevant memory content (in chronological order):", *lines, ""])
            await model_context.add_message(SystemMessage(content=text))
            if images:
                await model_context.add_message(UserMessage(content=images, source="memory"))
        return UpdateContextResult(memories=MemoryQueryResult(results=self._contents))

    async def query(
        self,
        query: str | MemoryContent = "",
        cancellation_token: CancellationToken | None = None,
        **kwargs: Any,
    ) -> MemoryQueryResult:
        """Everything remembered, whatever the query is."""
        return MemoryQueryResult(results=self._contents)

    async def add(
        self, content: MemoryContent, cancellation_token: CancellationToken | None = None
    ) -> None:
        """Remember one more piece."""
        self._contents.append(content)

    async def clear(self) -> None:
        """Forget everything."""
        self._contents = []

    async def close(self) -> None:
        """Nothing to release."""
