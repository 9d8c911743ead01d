"""Model clients behind one seam. Each name brings its module with it at its first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teamrun.models.azure_openai import AzureOpenAIChatCompletionClient
    from teamrun.models.base import ChatCompletionClient, ModelInfo, ToolChoice
    from teamrun.models.environment import model_client_from_env
    from teamrun.models.families import ModelFamily
    from teamrun.models.openai import OpenAIChatCompletionClient
    from teamrun.models.providers import make_client
    from teamrun.models.retry import RetryingModel, RetryPolicy, on_retry
    from teamrun.models.wrapper import ModelWrapper

__all__ = [
    "AzureOpenAIChatCompletionClient",
    "ChatCompletionClient",
    "ModelFamily",
    "ModelInfo",
    "ModelWrapper",
    "OpenAIChatCompletionClient",
    "RetryPolicy",
    "RetryingModel",
    "ToolChoice",
    "make_client",
    "model_client_from_env",
    "on_retry",
]

_HOMES = {
    "AzureOpenAIChatCompletionClient": "azure_openai",
    "ChatCompletionClient": "base",
    "ModelFamily": "families",
    "ModelInfo": "base",
    "ModelWrapper": "wrapper",
    "OpenAIChatCompletionClient": "openai",
    "RetryPolicy": "retry",
    "RetryingModel": "retry",
    "ToolChoice": "base",
    "make_client": "providers",
    "model_client_from_env": "environment",
    "on_retry": "retry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'teamrun.models' has no attribute {name!r}")
    value = getattr(import_module(f"teamrun.models.{_HOMES[name]}"), name)
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
