"""A context that shows the last messages."""

from collections.abc import Sequence

from teamrun.context.base import ChatCompletionContext
from teamrun.messages.llm import LLMMessage

__all__ = ["BufferedChatCompletionContext"]


class BufferedChatCompletionContext(ChatCompletionContext):
    """Shows the model the last messages.

    Args:
        buffer_size: How many; a tool request and its results are left out when the limit would cut
            between them.
        initial_messages: The conversation at the beginning.

    Raises:
        ValueError: `buffer_size` is less than 1.
    """

    def __init__(
        self, buffer_size: int, initial_messages: Sequence[LLMMessage] | None = None
    ) -> None:
        super().__init__(initial_messages)
        if buffer_size <= 0:
            raise ValueError("buffer_size must be greater than 0.")
        self._buffer_size = buffer_size

    async def get_messages(self) -> list[LLMMessage]:
        """The last `buffer_size` messages."""
        return self._messages[-self._buffer_size :]
