"""Model contexts: the conversation of an agent, and the part of it that the model sees."""

from teamrun.context.base import ChatCompletionContext
from teamrun.context.buffered import BufferedChatCompletionContext
from teamrun.context.head_and_tail import HeadAndTailChatCompletionContext
from teamrun.context.token_limited import TokenLimitedChatCompletionContext
from teamrun.context.unbounded import UnboundedChatCompletionContext

__all__ = [
    "BufferedChatCompletionContext",
    "ChatCompletionContext",
    "HeadAndTailChatCompletionContext",
    "TokenLimitedChatCompletionContext",
    "UnboundedChatCompletionContext",
]
