"""A context that shows everything."""

from teamrun.context.base import ChatCompletionContext
from teamrun.messages.llm import LLMMessage

__all__ = ["UnboundedChatCompletionContext"]


class UnboundedChatCompletionContext(ChatCompletionContext):
    """Shows the model the whole conversation."""

    async def get_messages(self) -> list[LLMMessage]:
        """Every message."""
        return self._messages
