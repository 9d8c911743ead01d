"""Model profiles as data: the names by which teams refer to models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from teamrun.components.definitions.environment import MissingVariable, expand_all
from teamrun.models.makers import BASE_URL, NO_KEY, NoAddress, access_to
from teamrun.models.prices import Price

__all__ = [
    "PROFILE_OPTIONS",
    "AzureOpenAIOptions",
    "OpenAIOptions",
    "PriceOptions",
    "Profile",
    "ProfileOptions",
    "ScriptedOptions",
]

_SECRET: Final = frozenset({"api_key", "default_headers"})
_VERBATIM: Final = frozenset({"script"})


class ProfileOptions(BaseModel):
    """What every type of profile takes."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        defer_build=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    model_info: dict[str, Any] | None = None

    def arguments(self) -> dict[str, Any]:
        """What the client's constructor takes."""
        return self.model_dump(exclude_none=True)


class _ChatOptions(ProfileOptions):
    model: str = Field(min_length=1)
    api_key: str | None = None
    default_headers: dict[str, str] | None = None
    temperature: float | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    top_p: float | None = Field(default=None, gt=0, le=1)
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: bool | None = None
    add_name_prefixes: bool | None = None
    include_name_in_message: bool | None = None
    alternate_roles: bool | None = None
    multiple_system_messages: bool | None = None
    empty_content: bool | None = None
    include_usage: bool | None = None
    """Whether usage is asked for in streams; some servers refuse the field that does it."""
    extra_body: dict[str, Any] | None = None
    """What the server takes beyond OpenAI's own arguments."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds for one attempt."""
    max_retries: int | None = Field(default=None, ge=0)


class OpenAIOptions(_ChatOptions):
    """Options of a profile of type `openai`."""

    base_url: str | None = None
    organization: str | None = None


class AzureOpenAIOptions(_ChatOptions):
    """Options of a profile of type `azure_openai`."""

    azure_endpoint: str | None = None
    azure_deployment: str | None = None
    api_version: str | None = None


class ScriptedOptions(ProfileOptions):
    """Options of a profile of type `scripted`: written answers, for demonstrations and tests."""

    script: dict[str, list[Any]] | list[Any]
    """The answers in order, of each agent or of all together."""
    latency_ms: float = Field(default=0, ge=0, allow_inf_nan=False)
    """How long each answer takes."""

    def arguments(self) -> dict[str, Any]:
        """What the client's constructor takes."""
        rest = self.model_dump(exclude={"latency_ms"}, exclude_none=True)
        return {**rest, "latency": timedelta(milliseconds=self.latency_ms)}


Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000)]


class PriceOptions(BaseModel):
    """What the model of a profile costs: US dollars per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None

    def price(self) -> Price:
        """The price as calls are charged with it."""
        return Price(self.input, self.output, self.cached_input)


PROFILE_OPTIONS: Final[Mapping[str, type[ProfileOptions]]] = {
    "openai": OpenAIOptions,
    "azure_openai": AzureOpenAIOptions,
    "scripted": ScriptedOptions,
}
"""The types of profiles, each with the options that it takes."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A model as the operator's file describes it; texts are not expanded yet."""

    name: str
    type: str
    options: Mapping[str, Any] = field(repr=False)
    fallback: str | None = None
    """The profile to use where an environment variable that this one needs is not set."""
    where: str = ""
    """The pointer to it in the file."""
    price: Price | None = None
    """What the operator says that it costs."""

    def missing(self, environ: Mapping[str, str]) -> str | None:
        """The first environment variable that the profile needs and that is not set."""
        try:
            self._expanded(environ)
        except MissingVariable as error:
            return error.name
        return None

    def arguments(self, environ: Mapping[str, str]) -> dict[str, Any]:
        """What the client's constructor takes.

        Raises:
            MissingVariable: An environment variable is not set.
            ValidationError: An option does not hold.
        """
        return PROFILE_OPTIONS[self.type].model_validate(self._expanded(environ)).arguments()

    def model(self, environ: Mapping[str, str]) -> str | None:
        """The provider's name of the model, if the profile has one that can be read here."""
        model = self.options.get("model")
        try:
            return expand_all(model, environ) if isinstance(model, str) else None
        except MissingVariable:
            return None

    def content(self) -> dict[str, Any]:
        """What the digest is taken of: everything but secrets and the price."""
        options = {key: value for key, value in self.options.items() if key not in _SECRET}
        return {"type": self.type, "options": options}

    def _expanded(self, environ: Mapping[str, str]) -> dict[str, Any]:
        expanded = {
            key: value if key in _VERBATIM else expand_all(value, environ)
            for key, value in self.options.items()
        }
        # `${NAME:-}` is a way to say "nothing unless it is set".
        given = {key: value for key, value in expanded.items() if value != ""}
        return given | self._access(given, environ) if self.type == "openai" else given

    def _access(self, given: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
        """Address and key, decided here: a client made later must not choose another one."""
        model, base_url = given.get("model"), given.get("base_url")
        if not isinstance(model, str) or not isinstance(base_url, str | None):
            return {}  # refused when the options are validated
        try:
            address, variable, key = access_to(model, base_url, environ)
        except NoAddress:
            raise MissingVariable(BASE_URL) from None
        if "api_key" in given:
            return {"base_url": address}
        if key is None and variable is not None:
            raise MissingVariable(variable)
        return {"base_url": address, "api_key": key or NO_KEY}
