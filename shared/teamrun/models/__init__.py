"""Model clients behind one seam. Each name brings its module with it at its first use."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.models.anthropic.client import AnthropicChatCompletionClient
    from teamrun.models.attempts import on_retry
    from teamrun.models.base import ChatCompletionClient, ModelInfo, ToolChoice
    from teamrun.models.bedrock.client import BedrockChatCompletionClient
    from teamrun.models.environment import model_client_from_env
    from teamrun.models.families import ModelFamily
    from teamrun.models.ollama.client import OllamaChatCompletionClient
    from teamrun.models.openai.azure import AzureOpenAIChatCompletionClient
    from teamrun.models.openai.client import OpenAIChatCompletionClient
    from teamrun.models.openai.entra import AzureTokenProvider
    from teamrun.models.providers import make_client
    from teamrun.models.retry import RetryingModel, RetryPolicy
    from teamrun.models.wrapper import ModelWrapper

__all__ = [
    "AnthropicChatCompletionClient",
    "AzureOpenAIChatCompletionClient",
    "AzureTokenProvider",
    "BedrockChatCompletionClient",
    "ChatCompletionClient",
    "ModelFamily",
    "ModelInfo",
    "ModelWrapper",
    "OllamaChatCompletionClient",
    "OpenAIChatCompletionClient",
    "RetryPolicy",
    "RetryingModel",
    "ToolChoice",
    "make_client",
    "model_client_from_env",
    "on_retry",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".anthropic.client": ("AnthropicChatCompletionClient",),
        ".attempts": ("on_retry",),
        ".openai.azure": ("AzureOpenAIChatCompletionClient",),
        ".base": (
            "ChatCompletionClient",
            "ModelInfo",
            "ToolChoice",
        ),
        ".bedrock.client": ("BedrockChatCompletionClient",),
        ".environment": ("model_client_from_env",),
        ".families": ("ModelFamily",),
        ".ollama.client": ("OllamaChatCompletionClient",),
        ".openai.client": ("OpenAIChatCompletionClient",),
        ".openai.entra": ("AzureTokenProvider",),
        ".providers": ("make_client",),
        ".retry": (
            "RetryPolicy",
            "RetryingModel",
        ),
        ".wrapper": ("ModelWrapper",),
    },
)
