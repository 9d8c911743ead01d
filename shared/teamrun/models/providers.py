"""The table of providers: a name in data picks a class here, and nothing else is imported.

A row holds where its class lives and which option names are written differently in a
configuration file; the class itself checks that its package is there.
"""

import inspect
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from teamrun.errors import DefinitionError
from teamrun.models.base import ChatCompletionClient
from teamrun.models.openai_request import CreateArgs

__all__ = ["make_client", "option_names", "provider_names", "split_model_id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provider:
    module: str
    name: str
    """Of the class in that module; its constructor's arguments are the options."""
    needs: tuple[str, ...] = ()
    """Options that must be given: a profile never falls back on a variable for them."""
    aliases: dict[str, str] = field(default_factory=dict[str, str])
    switches: tuple[str, ...] = ()
    """Options that are fields of `model_info`."""
    hidden: tuple[str, ...] = ("self", "clock", "http_client", "retry", "create_args")
    """Arguments that data cannot give."""


_SWITCHES = ("alternate_roles", "multiple_system_messages", "empty_content")

_PROVIDERS = {
    "openai": _Provider(
        module="teamrun.models.openai",
        name="OpenAIChatCompletionClient",
        needs=("model",),
        switches=_SWITCHES,
        aliases={"model_id": "model", "endpoint": "base_url"},
    ),
    "azure_openai": _Provider(
        module="teamrun.models.azure_openai",
        name="AzureOpenAIChatCompletionClient",
        needs=("model",),
        switches=_SWITCHES,
        aliases={"model_id": "model"},
    ),
    "scripted": _Provider(
        module="teamrun.testing.scripted",
        name="ScriptedModel",
        needs=("script",),
    ),
}


def make_client(provider: str, **options: Any) -> ChatCompletionClient:
    """The client of a model profile.

    Args:
        provider: A name of `provider_names()`.
        options: Arguments of the client, by the names of the configuration file.

    Raises:
        DefinitionError: No such provider or option, or one that is missing; `pointer` is the
            option's place in the profile.
        MissingPackage: The provider's package is not installed.
        UsageError: The client refused an option.
    """
    row = _row(provider)
    known = _options_of(row)
    given = {_known_option(name, provider, row, known): value for name, value in options.items()}
    for name in row.needs:
        if not given.get(name):
            raise DefinitionError(
                f"A model of provider {provider!r} needs the option {name!r}.", pointer=f"/{name}"
            )
    switches = {name: given.pop(name) for name in row.switches if name in given}
    if switches:
        given["model_info"] = {**(given.get("model_info") or {}), **switches}
    client: ChatCompletionClient = _load(row)(**given)
    return client


def provider_names() -> list[str]:
    """The providers that `make_client` knows."""
    return sorted(_PROVIDERS)


def option_names(provider: str) -> list[str]:
    """The options that a profile of that provider may have.

    Raises:
        DefinitionError: There is no such provider.
    """
    row = _row(provider)
    return sorted({*_options_of(row), *row.aliases})


def split_model_id(model_id: str) -> tuple[str, str]:
    """`provider:model` in its two parts; without a known provider in front it is OpenAI's."""
    provider, sign, model = model_id.partition(":")
    if sign and provider in _PROVIDERS:
        return provider, model
    return "openai", model_id


def _row(provider: str) -> _Provider:
    row = _PROVIDERS.get(provider)
    if row is None:
        raise DefinitionError(
            f"There is no model provider {provider!r}.{_hint(provider, _PROVIDERS)} "
            f"Known: {', '.join(provider_names())}.",
            pointer="/provider",
        )
    return row


def _known_option(name: str, provider: str, row: _Provider, known: set[str]) -> str:
    name_of_argument = row.aliases.get(name, name)
    if name_of_argument not in known:
        raise DefinitionError(
            f"A model of provider {provider!r} has no option {name!r}."
            f"{_hint(name, {*known, *row.aliases})} Known: {', '.join(sorted(known))}.",
            pointer=f"/{name}",
        )
    return name_of_argument


def _options_of(row: _Provider) -> set[str]:
    parameters = inspect.signature(_load(row)).parameters
    names = set(parameters) - set(row.hidden) | set(row.switches)
    return names | set(CreateArgs.__annotations__) if "create_args" in parameters else names


def _load(row: _Provider) -> Any:
    return getattr(import_module(row.module), row.name)  # a name of our own table, never of data


def _hint(name: str, known: Any) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
