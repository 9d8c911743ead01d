"""Model contexts: the conversation of an agent, and the part of it that the model sees."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
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

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".base": ("ChatCompletionContext",),
        ".buffered": ("BufferedChatCompletionContext",),
        ".head_and_tail": ("HeadAndTailChatCompletionContext",),
        ".token_limited": ("TokenLimitedChatCompletionContext",),
        ".unbounded": ("UnboundedChatCompletionContext",),
    },
)
