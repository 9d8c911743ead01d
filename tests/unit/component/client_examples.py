"""Examples of model clients."""

from tests.unit.component.examples import Example, component

from teamrun.models import OllamaChatCompletionClient

__all__ = ["CLIENTS"]

CLIENTS = [
    Example(
        lambda: OllamaChatCompletionClient("deepseek-r1", host="gpu-1", num_ctx=8192),
        component(
            "autogen_ext.models.ollama.OllamaChatCompletionClient",
            "model",
            {"model": "deepseek-r1", "host": "gpu-1", "follow_redirects": True, "num_ctx": 8192},
        ),
    ),
]
