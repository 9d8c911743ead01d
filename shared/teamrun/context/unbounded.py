"""A context that shows everything."""

from teamrun.context.base import ChatCompletionContext, whole_exchanges
from teamrun.messages.llm import LLMMessage

__all__ = ["UnboundedChatCompletionContext"]


class UnboundedChatCompletionContext(ChatCompletionContext, shows_whole=True):
    """Shows the model the whole conversation."""

    async def get_messages(self) -> list[LLMMessage]:
        """Every message."""
        messages = self._messages
        # A subclass may change its messages in other ways than by adding some.
        is_own = type(self) is UnboundedChatCompletionContext
        shown = whole_exchanges(messages, self._whole if is_own else 0)
        if shown is messages:
            self._whole = len(messages)
        return shown
