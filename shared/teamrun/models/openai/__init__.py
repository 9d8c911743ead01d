"""Servers that implement OpenAI's Chat Completions API: OpenAI, Azure OpenAI and many others."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.models.openai.azure import AzureOpenAIChatCompletionClient
    from teamrun.models.openai.client import OpenAIChatCompletionClient, OpenAIClientBuilder
    from teamrun.models.openai.entra import AzureTokenProvider

__all__ = [
    "AzureOpenAIChatCompletionClient",
    "AzureTokenProvider",
    "OpenAIChatCompletionClient",
    "OpenAIClientBuilder",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".azure": ("AzureOpenAIChatCompletionClient",),
        ".client": ("OpenAIChatCompletionClient", "OpenAIClientBuilder"),
        ".entra": ("AzureTokenProvider",),
    },
)
