"""A model client from environment variables, for scripts and examples.

Which variables a provider has is in its row of `providers.py`.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.models.base import ChatCompletionClient
from teamrun.models.makers import NO_KEY
from teamrun.models.providers import PROVIDERS, Provider, make_client

__all__ = ["model_client_from_env"]


def model_client_from_env(environ: Mapping[str, str] | None = None) -> ChatCompletionClient:
    """The client that the environment describes.

    `LLM_PROVIDER` is a type of model profile, such as `openai`, `azure_openai` (or `azure`) or
    `scripted`; without it, the provider whose key or address is set. `OPENAI_MODEL` may be a model
    of another company that speaks OpenAI's protocol: `gemini-2.0-flash` is called at Google with
    `GEMINI_API_KEY`. `MODEL_TEMPERATURE` applies to all. `SCRIPTED_REPLIES` is JSON: a list of
    replies, or a map from agents to lists.

    Args:
        environ: The variables; by default those of the process.

    Raises:
        UsageError: A variable is missing or cannot be read; the message names it.
        DefinitionError: `LLM_PROVIDER` names no provider, or one that is not available yet.
        MissingPackage: The provider's package is not installed.
    """
    environ = os.environ if environ is None else environ
    provider = _provider(environ)
    row = PROVIDERS.get(provider)
    options: JsonObject = {} if row is None else _options(provider, row, environ)
    return make_client(provider, **options)  # raises if there is no row


def _options(provider: str, row: Provider, environ: Mapping[str, str]) -> JsonObject:
    options: JsonObject = {
        option: environ[variable]
        for option, variable in row.variables.items()
        if environ.get(variable)
    }
    for option in row.needs_from_env:
        if option not in options:
            raise UsageError(
                f"The provider {provider!r} needs {row.variables[option]} in the environment.",
                variable=row.variables[option],
            )
    if row.credential is not None:
        options |= row.credential(environ)
    if row.access is not None:
        options |= _access(row, options["model"], environ)
    if row.is_scripted:
        options["script"] = _json(options["script"], "SCRIPTED_REPLIES")
    elif temperature := environ.get("MODEL_TEMPERATURE"):
        options["temperature"] = _number(temperature, "MODEL_TEMPERATURE")
    return options


def _access(row: Provider, model: str, environ: Mapping[str, str]) -> dict[str, str]:
    assert row.access is not None
    access = row.access(model, row.address({}), environ)
    if access.key is not None:
        return {"base_url": access.base_url, "api_key": access.key}
    if access.variable is not None:
        raise UsageError(
            f"The model {model!r} needs {access.variable} in the environment.",
            variable=access.variable,
        )
    return {"base_url": access.base_url, "api_key": NO_KEY}


def _provider(environ: Mapping[str, str]) -> str:
    """The name of a row, or what `LLM_PROVIDER` says if it names none."""
    if named := environ.get("LLM_PROVIDER", "").strip().lower():
        return next((name for name, row in PROVIDERS.items() if named in row.also), named)
    for name, row in PROVIDERS.items():
        if any(environ.get(sign) for sign in row.signs):
            return name
    signs = ", ".join(row.signs[0] for row in PROVIDERS.values() if row.signs)
    raise UsageError(f"No model provider: set LLM_PROVIDER, or {signs}.", variable="LLM_PROVIDER")


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
