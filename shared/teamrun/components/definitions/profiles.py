"""Model profiles: the names by which teams refer to models, each with one client per process."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from teamrun.components.definitions.digest import digest
from teamrun.components.definitions.environment import MissingVariable, expand_all
from teamrun.errors import DefinitionError, MissingPackage, UsageError
from teamrun.models.base import ChatCompletionClient
from teamrun.models.makers import BASE_URL, NO_KEY, NoAddress, access_to
from teamrun.models.prices import Price

__all__ = [
    "PROFILE_OPTIONS",
    "Active",
    "AzureOpenAIOptions",
    "OpenAIOptions",
    "PriceOptions",
    "Profile",
    "ProfileOptions",
    "Profiles",
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


class Active(NamedTuple):
    """Which profile stands behind a name in this environment."""

    profile: Profile
    missing: str | None
    """The variable that even the last fallback lacks."""
    unset: str | None
    """The variable that the named profile itself lacks."""


class Profiles(Collection[str]):
    """All profiles of a process by name. Clients are made at first use and closed together."""

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        *,
        environ: Mapping[str, str],
        clients: Mapping[str, ChatCompletionClient] | None = None,
    ) -> None:
        self._profiles = dict(profiles)
        self._environ = environ
        self._given = dict(clients or {})
        self._clients: dict[str, ChatCompletionClient] = {}
        self._prices: dict[str, Price | None] = {}

    def __iter__(self) -> Iterator[str]:
        return iter({**self._profiles, **self._given})

    def __len__(self) -> int:
        return len({**self._profiles, **self._given})

    def __contains__(self, name: object) -> bool:
        return name in self._profiles or name in self._given

    def active(self, name: str) -> Active | None:
        """The profile that is used under a name here; None for a client that was handed in."""
        if name in self._given:
            return None
        profile = self._profiles[name]
        unset = missing = profile.missing(self._environ)
        while missing is not None and profile.fallback is not None:
            profile = self._profiles[profile.fallback]
            missing = profile.missing(self._environ)
        return Active(profile, missing, unset)

    def model(self, name: str) -> str | None:
        """The provider's name of the model that is used under a name here, if it is known."""
        active = self.active(name)
        return None if active is None else active.profile.model(self._environ)

    def is_scripted(self, name: str) -> bool:
        """Whether a script answers under a name here."""
        if (active := self.active(name)) is None:
            return self._given[name].is_scripted
        return active.profile.type == "scripted"

    def entry_points(self) -> list[str]:
        """The profiles that are no fallback of another one."""
        fallbacks = {profile.fallback for profile in self._profiles.values()}
        return [name for name in self if name not in fallbacks]

    def price(self, name: str) -> Price | None:
        """What the operator says that the model behind a name costs here."""
        if name not in self._prices:
            active = self.active(name)
            self._prices[name] = None if active is None else active.profile.price
        return self._prices[name]

    def digest(self, name: str) -> str:
        """The digest of a profile with its fallbacks, the same in every environment."""
        if name in self._given:
            return digest({"type": type(self._given[name]).__name__})
        chain: list[dict[str, Any]] = []
        step: str | None = name
        while step is not None:
            chain.append(self._profiles[step].content())
            step = self._profiles[step].fallback
        return digest(chain)

    def for_model(self, model: str) -> str | None:
        """The profile of that name, or the first one that calls the provider's model `model`."""
        if model in self:
            return model
        for name, profile in self._profiles.items():
            ready = profile.missing(self._environ) is None
            if ready and profile.arguments(self._environ).get("model") == model:
                return name
        return None

    def client(self, name: str) -> ChatCompletionClient:
        """The client behind a name.

        Raises:
            DefinitionError: There is no such profile, or a variable that it needs is not set.
        """
        if name in self._given:
            return self._given[name]
        if name not in self._profiles:
            raise DefinitionError(f"There is no model profile {name!r}.", code="unknown_model")
        active = self.active(name)
        assert active is not None, "clients that were handed in are returned above"
        profile, missing, _ = active
        if missing is not None:
            address = ", write its 'base_url'" if missing == BASE_URL else ""
            raise DefinitionError(
                f"The model profile {name!r} needs the environment variable {missing}; set it"
                f"{address}, or give the profile a 'fallback'.",
                pointer=profile.where,
                code="model_not_ready",
            )
        if profile.name not in self._clients:
            self._clients[profile.name] = self._made(profile)
        return self._clients[profile.name]

    def _made(self, profile: Profile) -> ChatCompletionClient:
        # Imported here: a process that only accepts runs needs no model client.
        from teamrun.models.providers import make_client

        try:
            arguments = profile.arguments(self._environ)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            raise DefinitionError(
                f"The model profile {profile.name!r} does not hold: {first['msg']}.",
                pointer="/".join([profile.where, *map(str, first["loc"])]),
            ) from None
        try:
            return make_client(profile.type, **arguments)
        except (DefinitionError, MissingPackage):
            raise
        except UsageError as error:
            raise DefinitionError(
                f"The model profile {profile.name!r} is invalid: {error.message}",
                pointer=profile.where,
            ) from error

    async def close(self) -> None:
        """Close the clients that were made here."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()
