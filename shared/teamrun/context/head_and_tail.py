"""A context that leaves out the middle."""

from collections.abc import Sequence

from teamrun.context.base import ChatCompletionContext
from teamrun.messages.llm import LLMMessage, UserMessage

__all__ = ["HeadAndTailChatCompletionContext"]


class HeadAndTailChatCompletionContext(ChatCompletionContext):
    """Shows the model the first and the last messages, and how many were left out between.

    Args:
        head_size: How many of the first.
        tail_size: How many of the last. A tool request and its results are left out when a limit
            would cut between them.
        initial_messages: The conversation at the beginning.

    Raises:
        ValueError: A size is less than 1.
    """

    def __init__(
        self,
        head_size: int,
        tail_size: int,
        initial_messages: Sequence[LLMMessage] | None = None,
    ) -> None:
        super().__init__(initial_messages)
        if head_size <= 0:
            raise ValueError("head_size must be greater than 0.")
        if tail_size <= 0:
            raise ValueError("tail_size must be greater than 0.")
        self._head_size = head_size
        self._tail_size = tail_size

    async def get_messages(self) -> list[LLMMessage]:
        """Head, placeholder and tail; everything while nothing has to be left out."""
        skipped = len(self._messages) - self._head_size - self._tail_size
        if skipped <= 0:
            return self._messages
        head = self._messages[: self._head_size]
        tail = self._messages[-self._tail_size :]
        placeholder = UserMessage(content=f"Skipped {skipped} messages.", source="System")
        return [*head, placeholder, *tail]
