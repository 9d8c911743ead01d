"""The table of providers: a name in data selects a class here, and nothing else is imported.

A new provider is one row, its client and its class of options. The client itself checks that its
package is installed. Companies that serve OpenAI's protocol are no rows here, but in `makers`.
"""

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, get_args

from teamrun.core.component.table import COMPONENTS
from teamrun.errors import DefinitionError
from teamrun.models.base import ChatCompletionClient
from teamrun.models.makers import (
    ANTHROPIC,
    BASE_URL,
    KEY_VARIABLES,
    OLLAMA,
    PRESETS,
    Access,
    access_to,
    variable_of,
)
from teamrun.models.openai.azure_credential import credential_in

if TYPE_CHECKING:
    from teamrun.models.options import ProfileOptions

__all__ = [
    "PLANNED",
    "PROVIDERS",
    "FindAccess",
    "PlannedProvider",
    "Provider",
    "make_client",
    "option_names",
    "provider_names",
    "split_model_id",
]


class FindAccess(Protocol):
    """Finds the address at which a model is called, and the key that belongs to it."""

    def __call__(self, model: str, base_url: str | None, environ: Mapping[str, str], /) -> Access:
        """The address, and the key of the environment."""
        ...


_HIDDEN = ("self", "clock", "http_client", "retry", "create_args")


class Provider(NamedTuple):
    """One type of model profile."""

    client: str
    """Its class as `module:name`; the constructor's arguments are the options."""
    options_class: str
    """The class of `options`, in the same form."""
    needs: tuple[str, ...] = ()
    """Options that must be given: a profile never falls back on a variable for them."""
    switches: tuple[str, ...] = ()
    """Options that are fields of `model_info`."""
    hidden: tuple[str, ...] = _HIDDEN
    """Arguments that data cannot give."""
    access: FindAccess | None = None
    """Finds address and key if a profile does not give them; `type:model` is a profile then."""
    fixed: Mapping[str, str] = {}
    """Arguments of the client that make the provider of it."""
    is_ambient: bool = False
    """Whether place and credentials come from the environment; `type:model` is a profile then."""
    is_scripted: bool = False
    """Whether a script answers, and no model."""
    autogen: tuple[str, ...] = ()
    """Clients of AutoGen component JSON that a profile of this provider can replace."""
    variables: Mapping[str, str] = {}
    """The environment variable of each option that `model_client_from_env` reads."""
    needs_from_env: tuple[str, ...] = ()
    """Those of them that must be set."""
    credential: Callable[[Mapping[str, str]], Mapping[str, str]] | None = None
    """Finds the options of a credential in the environment, for `model_client_from_env`."""
    signs: tuple[str, ...] = ()
    """Variables that select this provider if `LLM_PROVIDER` is not set."""
    also: tuple[str, ...] = ()
    """Other names in `LLM_PROVIDER`."""

    @property
    def options(self) -> "type[ProfileOptions]":
        """The options that a profile of the operator's file takes."""
        return _load(self.options_class)

    def address(self, given: Mapping[str, Any]) -> str | None:
        """The address that a profile names, or that of its preset."""
        name: object = self.fixed.get("preset") or given.get("preset")
        server = PRESETS.get(name) if isinstance(name, str) else None
        return given.get("base_url") or (server and server.base_url)

    def variable(self, model: str) -> str:
        """The variable of the key for a model, if no other server is named for it."""
        server = PRESETS.get(self.fixed.get("preset", ""))
        return server.variable if server else variable_of(model)


class PlannedProvider(NamedTuple):
    """A provider that is known, but not available in this release."""

    remedy: str = ""
    """The replacement."""
    autogen: tuple[str, ...] = ()
    """Clients of AutoGen component JSON: each is replaced by a profile for the same model."""


_SWITCHES = ("alternate_roles", "multiple_system_messages", "empty_content")
_AUTOGEN = "autogen_ext.models"
_OPENAI_FORM = "Its models are also served over OpenAI's protocol: use type 'openai' with a {}."

_OWN_TYPES = (OLLAMA.variable, PRESETS["mistral"].variable)
"""The keys of companies whose models have a type of their own."""

PROVIDERS: Final[Mapping[str, Provider]] = {
    "anthropic": Provider(  # before OpenAI's row, which any company's key selects
        client="teamrun.models.anthropic.client:AnthropicChatCompletionClient",
        options_class="teamrun.models.anthropic.options:AnthropicOptions",
        needs=("model",),
        access=ANTHROPIC,
        autogen=COMPONENTS["AnthropicChatCompletionClient"].providers,
        variables={"model": "ANTHROPIC_MODEL"},
        needs_from_env=("model",),
        signs=("ANTHROPIC_MODEL",),
    ),
    "openai": Provider(
        client="teamrun.models.openai.client:OpenAIChatCompletionClient",
        options_class="teamrun.models.openai.options:OpenAIOptions",
        needs=("model",),
        switches=_SWITCHES,
        access=access_to,
        autogen=COMPONENTS["OpenAIChatCompletionClient"].providers,
        variables={"model": "OPENAI_MODEL", "organization": "OPENAI_ORG_ID"},
        needs_from_env=("model",),
        signs=(*(name for name in KEY_VARIABLES if name not in _OWN_TYPES), BASE_URL),
    ),
    "azure_openai": Provider(
        client="teamrun.models.openai.azure:AzureOpenAIChatCompletionClient",
        options_class="teamrun.models.openai.options:AzureOpenAIOptions",
        needs=("model",),
        switches=_SWITCHES,
        autogen=(
            *COMPONENTS["AzureOpenAIChatCompletionClient"].providers,
            f"{_AUTOGEN}.azure.AzureAIChatCompletionClient",
        ),
        variables={
            "model": "AZURE_OPENAI_MODEL",
            "azure_endpoint": "AZURE_OPENAI_ENDPOINT",
            "api_version": "OPENAI_API_VERSION",
        },
        needs_from_env=("model", "azure_endpoint"),
        credential=credential_in,
        signs=("AZURE_OPENAI_ENDPOINT",),
        also=("azure",),
    ),
    "bedrock": Provider(
        client="teamrun.models.bedrock.client:BedrockChatCompletionClient",
        options_class="teamrun.models.bedrock.options:BedrockOptions",
        needs=("model",),
        hidden=("self", "aws_keys", "clock", "retry", "model_id", "create_args"),
        autogen=COMPONENTS["BedrockChatCompletionClient"].providers,
        variables={"model": "BEDROCK_MODEL_ID", "region": "AWS_REGION"},
        needs_from_env=("model",),
        signs=("BEDROCK_MODEL_ID",),
        is_ambient=True,
    ),
    "mistral": Provider(
        client="teamrun.models.openai.client:OpenAIChatCompletionClient",
        options_class="teamrun.models.openai.options:MistralOptions",
        needs=("model",),
        switches=_SWITCHES,
        hidden=(*_HIDDEN, "preset", "organization", "org_id"),
        access=access_to,
        fixed={"preset": "mistral"},
        variables={"model": "MISTRAL_MODEL"},
        needs_from_env=("model",),
        signs=("MISTRAL_API_KEY",),
    ),
    "ollama": Provider(
        client="teamrun.models.ollama.client:OllamaChatCompletionClient",
        options_class="teamrun.models.ollama.options:OllamaOptions",
        needs=("model",),
        hidden=(*_HIDDEN, "base_url", "default_headers", "follow_redirects"),
        autogen=COMPONENTS["OllamaChatCompletionClient"].providers,
        variables={"model": "OLLAMA_MODEL", "host": "OLLAMA_HOST"},
        needs_from_env=("model",),
        signs=("OLLAMA_MODEL",),
        is_ambient=True,
    ),
    "scripted": Provider(
        client="teamrun.testing.scripted:ScriptedModel",
        options_class="teamrun.models.script:ScriptedOptions",
        needs=("script",),
        is_scripted=True,
        variables={"script": "SCRIPTED_REPLIES"},
        needs_from_env=("script",),
    ),
}
"""The types of model profiles."""

PLANNED: Final[Mapping[str, PlannedProvider]] = {
    "google": PlannedProvider(remedy=_OPENAI_FORM.format("gemini- model and GEMINI_API_KEY")),
}


def make_client(provider: str, **options: Any) -> ChatCompletionClient:
    """The client of a model profile.

    Args:
        provider: A name of `provider_names()`.
        options: Arguments of the client, by the names of the configuration file.

    Raises:
        DefinitionError: The provider or an option is unknown, or an option is missing; `pointer` is
            the option's location in the profile.
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
    client: ChatCompletionClient = _load(row.client)(**given, **row.fixed)
    return client


def provider_names() -> list[str]:
    """The providers that `make_client` knows."""
    return sorted(PROVIDERS)


def option_names(provider: str) -> list[str]:
    """The options that a profile of that provider may have.

    Raises:
        DefinitionError: The provider is unknown.
    """
    row = _row(provider)
    return sorted({*_options_of(row), *row.options.aliases})


def split_model_id(model_id: str) -> tuple[str, str]:
    """`provider:model` in its two parts; without a known provider in front it is OpenAI's."""
    provider, sign, model = model_id.partition(":")
    if sign and provider in PROVIDERS:
        return provider, model
    return "openai", model_id


def _row(provider: str) -> Provider:
    row = PROVIDERS.get(provider)
    if row is None and (planned := PLANNED.get(provider)) is not None:
        raise DefinitionError(
            f"The model provider {provider!r} is not available yet. {planned.remedy}".rstrip(),
            pointer="/provider",
            code="not_available_yet",
        )
    if row is None:
        raise DefinitionError(
            f"There is no model provider {provider!r}.{_hint(provider, PROVIDERS)} "
            f"Known: {', '.join(provider_names())}.",
            pointer="/provider",
        )
    return row


def _known_option(name: str, provider: str, row: Provider, known: set[str]) -> str:
    name_of_argument = row.options.aliases.get(name, name)
    if name_of_argument not in known:
        raise DefinitionError(
            f"A model of provider {provider!r} has no option {name!r}."
            f"{_hint(name, {*known, *row.options.aliases})} Known: {', '.join(sorted(known))}.",
            pointer=f"/{name}",
        )
    return name_of_argument


def _options_of(row: Provider) -> set[str]:
    parameters = inspect.signature(_load(row.client)).parameters
    names = set(parameters) - set(row.hidden) | set(row.switches)
    if "create_args" not in parameters:
        return names
    (arguments,) = get_args(parameters["create_args"].annotation)  # of `Unpack`
    return names | set(arguments.__annotations__)


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)  # a name from the table, never from data


def _hint(name: str, known: Any) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
