"""A context that shows the last messages."""

from collections.abc import Sequence

from teamrun.context.base import ChatCompletionContext, without_leading_results
from teamrun.messages.llm import LLMMessage

__all__ = ["BufferedChatCompletionContext"]


class BufferedChatCompletionContext(ChatCompletionContext):
    """Shows the model the last messages.

    Args:
        buffer_size: How many; tool results whose request is cut off are not shown.
        initial_messages: The conversation so far.

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
        return without_leading_results(self._messages[-self._buffer_size :])
