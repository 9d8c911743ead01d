"""A model client from environment variables, for scripts and examples."""

import json
import os
from collections.abc import Mapping
from typing import Any

from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.models.base import ChatCompletionClient
from teamrun.models.makers import KEY_VARIABLES, NO_KEY, access_to
from teamrun.models.providers import make_client

__all__ = ["model_client_from_env"]

_ALIASES = {"azure": "azure_openai"}

_VARIABLES: dict[str, dict[str, str]] = {
    "openai": {
        "model": "OPENAI_MODEL",
        "organization": "OPENAI_ORG_ID",
    },
    "azure_openai": {
        "model": "AZURE_OPENAI_MODEL",
        "api_key": "AZURE_OPENAI_API_KEY",
        "azure_endpoint": "AZURE_OPENAI_ENDPOINT",
        "api_version": "OPENAI_API_VERSION",
    },
    "scripted": {"script": "SCRIPTED_REPLIES"},
}
"""Which variable gives which option of which provider."""

_NEEDED = {
    "openai": ("model",),
    "azure_openai": ("model", "azure_endpoint", "api_version"),
    "scripted": ("script",),
}


def model_client_from_env(environ: Mapping[str, str] | None = None) -> ChatCompletionClient:
    """The client that the environment describes.

    `LLM_PROVIDER` is `openai`, `azure_openai` or `scripted`; without it, the provider whose key
    or address is set. `OPENAI_MODEL` may be a model of another company that speaks OpenAI's
    protocol: `gemini-2.0-flash` is called at Google with `GEMINI_API_KEY`. `MODEL_TEMPERATURE`
    applies to all. `SCRIPTED_REPLIES` is JSON: a list of
    replies, or a map from agents to lists.

    Raises:
        UsageError: A variable is missing or cannot be read; the message names it.
        DefinitionError: `LLM_PROVIDER` names no provider.
        MissingPackage: The provider's package is not installed.
    """
    environ = os.environ if environ is None else environ
    provider = _provider(environ)
    variables = _VARIABLES.get(provider, {})
    options: JsonObject = {
        option: environ[variable] for option, variable in variables.items() if environ.get(variable)
    }
    for option in _NEEDED.get(provider, ()):
        if option not in options:
            raise UsageError(
                f"The provider {provider!r} needs {variables[option]} in the environment.",
                variable=variables[option],
            )
    if provider == "openai":
        options |= _access(options["model"], environ)
    if provider == "scripted":
        options["script"] = _json(options["script"], "SCRIPTED_REPLIES")
    elif temperature := environ.get("MODEL_TEMPERATURE"):
        options["temperature"] = _number(temperature, "MODEL_TEMPERATURE")
    return make_client(provider, **options)


def _access(model: str, environ: Mapping[str, str]) -> dict[str, str]:
    access = access_to(model, None, environ)
    if access.key is not None:
        return {"base_url": access.base_url, "api_key": access.key}
    if access.variable is not None:
        raise UsageError(
            f"The model {model!r} needs {access.variable} in the environment.",
            variable=access.variable,
        )
    return {"base_url": access.base_url, "api_key": NO_KEY}


def _provider(environ: Mapping[str, str]) -> str:
    if named := environ.get("LLM_PROVIDER"):
        return _ALIASES.get(named.lower(), named.lower())
    if any(environ.get(variable) for variable in KEY_VARIABLES) or environ.get("OPENAI_BASE_URL"):
        return "openai"
    if environ.get("AZURE_OPENAI_ENDPOINT"):
        return "azure_openai"
    raise UsageError(
        "No model provider: set OPENAI_API_KEY, OPENAI_BASE_URL, AZURE_OPENAI_ENDPOINT, or "
        "LLM_PROVIDER.",
        variable="LLM_PROVIDER",
    )


def _number(text: str, variable: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{variable} is not a number: {text!r}.", variable=variable) from error


def _json(text: str, variable: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{variable} is not JSON: {error}.", variable=variable) from error
