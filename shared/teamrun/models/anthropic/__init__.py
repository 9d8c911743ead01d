"""Anthropic's Messages API: Claude, and servers that implement the same API."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.models.anthropic.client import AnthropicChatCompletionClient

__all__ = ["AnthropicChatCompletionClient"]

__getattr__, __dir__ = forwarding(__name__, {".client": ("AnthropicChatCompletionClient",)})
