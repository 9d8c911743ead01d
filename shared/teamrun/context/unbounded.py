"""A context that shows everything."""

from typing import Final

from teamrun.context.base import ChatCompletionContext, whole_exchanges
from teamrun.messages.llm import LLMMessage

__all__ = ["UnboundedChatCompletionContext", "known_messages"]


class UnboundedChatCompletionContext(ChatCompletionContext, shows_whole=True):
    """Shows the model the whole conversation."""

    async def get_messages(self) -> list[LLMMessage]:
        """Every message."""
        # A subclass may change its messages in other ways than by adding some.
        if type(self) is not UnboundedChatCompletionContext:
            self._whole = 0
        return self._shown()

    def _shown(self) -> list[LLMMessage]:
        messages = self._messages
        shown = whole_exchanges(messages, self._whole)
        if shown is messages:
            self._whole = len(messages)
        return shown


_GET: Final = UnboundedChatCompletionContext.get_messages


def known_messages(context: ChatCompletionContext) -> list[LLMMessage] | None:
    """What `get_messages` returns, without a coroutine, if the context is one of this module."""
    if type(context) is not UnboundedChatCompletionContext:
        return None
    if getattr(context.get_messages, "__func__", None) is not _GET:  # replaced, as by a tracer
        return None
    return context._shown()  # pyright: ignore[reportPrivateUsage] - of this module
