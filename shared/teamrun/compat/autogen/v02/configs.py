"""`llm_config` and `config_list`: which models an agent calls, and with which options."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from teamrun.errors import UsageError
from teamrun.models.base import ChatCompletionClient
from teamrun.models.providers import make_client

__all__ = [
    "PAGE",
    "Config",
    "clients_of",
    "config_list_from_json",
    "filter_config",
    "refuse",
    "unsupported",
]

PAGE: Final = "docs/how-to/migrate-from-autogen-02.md"
Config = dict[str, Any]

_PROVIDERS: Final = {"openai": "openai", "open_ai": "openai", "azure": "azure_openai"}
_RENAMED: Final[Mapping[str, Mapping[str, str]]] = {"azure_openai": {"base_url": "azure_endpoint"}}
_NOT_OF_MODELS: Final = {
    "api_type",
    "cache",
    "cache_seed",
    "config_list",
    "functions",
    "model_client",
    "price",
    "tags",
    "tools",
}
"""Options that no client takes. Answers are never cached, and costs are not computed here."""


def unsupported(what: str) -> UsageError:
    """The error for what the wrapper does not have."""
    return UsageError(f"{what} of AutoGen 0.2 is not supported here; {PAGE} says what to use.")


def refuse(caller: str, arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that the wrapper does not have, unless they change nothing.

    Raises:
        UsageError: One of them has a value.
    """
    for name, value in arguments.items():
        if value is not None and value is not False:
            raise unsupported(f"{caller}({name}=...)")


def clients_of(llm_config: Config) -> list[ChatCompletionClient]:
    """The clients of an `llm_config`; a call that fails goes to the next one.

    Args:
        llm_config: `config_list` with an entry for each model, and options for all of them. Or
            `model_client`: a client of Teamrun.

    Raises:
        UsageError: There is no model, or an option is unknown or invalid.
    """
    client = llm_config.get("model_client")
    if client is not None:
        return [client]
    common = _options(llm_config)
    entries: list[Config] = llm_config.get("config_list") or ([{}] if "model" in common else [])
    if not entries:
        raise UsageError(
            "`llm_config` needs `config_list`, such as [{'model': 'gpt-4o', 'api_key': '...'}].",
            argument="llm_config",
        )
    return [_client(entry, common) for entry in entries]


def _client(entry: Config, common: Config) -> ChatCompletionClient:
    api_type: str = entry.get("api_type") or "openai"
    provider = _PROVIDERS.get(api_type, api_type)
    renamed = _RENAMED.get(provider, {})
    options = {renamed.get(name, name): value for name, value in _options(entry).items()}
    return make_client(provider, **{**common, **options})


def _options(config: Config) -> Config:
    return {
        name: value
        for name, value in config.items()
        if name not in _NOT_OF_MODELS and value is not None
    }


def config_list_from_json(
    env_or_file: str, file_location: str = "", filter_dict: Mapping[str, Any] | None = None
) -> list[Config]:
    """A `config_list` from an environment variable or a file of JSON.

    Args:
        env_or_file: The variable, whose value is JSON or the path of a file; or a file.
        file_location: The folder of the file.
        filter_dict: See `filter_config`.

    Raises:
        UsageError: Neither exists, or it contains no JSON list.
    """
    text = os.environ.get(env_or_file, "")
    if not text.lstrip().startswith(("[", "{")):
        path = Path(file_location) / (text or env_or_file)
        if not path.is_file():
            raise UsageError(
                f"There is neither an environment variable {env_or_file!r} nor a file {path}.",
                argument="env_or_file",
            )
        text = path.read_text(encoding="utf-8")
    try:
        found: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{env_or_file} is no JSON: {error}", argument="env_or_file") from error
    if not isinstance(found, list):
        raise UsageError(f"{env_or_file} must be a JSON list.", argument="env_or_file")
    return filter_config(cast("list[Config]", found), filter_dict)


def filter_config(
    config_list: Sequence[Config], filter_dict: Mapping[str, Any] | None, exclude: bool = False
) -> list[Config]:
    """The entries whose fields have accepted values.

    Args:
        config_list: The entries.
        filter_dict: By field, the accepted values. A field with a list, such as `tags`, needs one
            of them. None accepts an entry without the field.
        exclude: Return the other entries.
    """
    return [
        entry
        for entry in config_list
        if all(_fits(entry.get(name), values) for name, values in (filter_dict or {}).items())
        is not exclude
    ]


def _fits(value: Any, accepted: Any) -> bool:
    return any(each in _listed(accepted) for each in _listed(value))


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]
