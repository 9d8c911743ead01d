"""Model clients behind one seam. Importing this loads no provider's SDK."""

from teamrun.models.azure_openai import AzureOpenAIChatCompletionClient
from teamrun.models.base import ChatCompletionClient, ModelInfo, ToolChoice
from teamrun.models.environment import model_client_from_env
from teamrun.models.families import ModelFamily
from teamrun.models.openai import OpenAIChatCompletionClient
from teamrun.models.providers import make_client
from teamrun.models.retry import RetryPolicy, on_retry
from teamrun.models.wrapper import ModelWrapper

__all__ = [
    "AzureOpenAIChatCompletionClient",
    "ChatCompletionClient",
    "ModelFamily",
    "ModelInfo",
    "ModelWrapper",
    "OpenAIChatCompletionClient",
    "RetryPolicy",
    "ToolChoice",
    "make_client",
    "model_client_from_env",
    "on_retry",
]
