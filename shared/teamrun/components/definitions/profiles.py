"""Model profiles as data: the names by which teams refer to models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from teamrun.components.definitions.environment import MissingVariable, expand_all
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.makers import BASE_URL, NO_KEY, NoAddress
from teamrun.models.pacing.base import CallLimits
from teamrun.models.prices import Price
from teamrun.models.providers import PROVIDERS, FindAccess, Provider
from teamrun.models.scalars import (
    LONGEST_S,
    MOST,
    Number,
    SwitchOption,
    WholeNumber,
    no_switch,
)

if TYPE_CHECKING:
    from teamrun.models.breaker import BreakerLimits

__all__ = [
    "NO_PACE",
    "BreakerOptions",
    "CacheOptions",
    "FallbackOptions",
    "Pace",
    "PaceOptions",
    "PriceOptions",
    "Profile",
]

Dollars = Annotated[Decimal, BeforeValidator(no_switch), Field(ge=0, le=1_000_000)]


class PriceOptions(BaseModel):
    """The price of a profile's model, in US dollars per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None

    def price(self) -> Price:
        """The price by which the cost of calls is computed."""
        return Price(self.input, self.output, self.cached_input)


class Pace(NamedTuple):
    """How the calls of a profile are paced."""

    limits: CallLimits = CallLimits()
    """The limits of the model's server."""
    patience: timedelta | None = None
    """How long a call that the server rejects is made again; None: the client's default."""


NO_PACE = Pace()
"""No limit is known."""


class PaceOptions(BaseModel):
    """The options of a profile that pace its calls."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    max_concurrent_calls: WholeNumber | None = Field(default=None, ge=1, le=MOST)
    requests_per_minute: WholeNumber | None = Field(default=None, ge=1, le=MOST)
    tokens_per_minute: WholeNumber | None = Field(default=None, ge=1, le=MOST)
    rate_limit_timeout: Number | None = Field(default=None, ge=0, le=LONGEST_S)
    """Seconds."""

    def pace(self) -> Pace:
        """The pace that the options describe."""
        limits = CallLimits(
            max_concurrent_calls=self.max_concurrent_calls,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
        )
        seconds = self.rate_limit_timeout
        return Pace(limits, None if seconds is None else timedelta(seconds=seconds))


class BreakerOptions(BaseModel):
    """The options of a profile's circuit breaker."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    failures: WholeNumber = Field(default=5, ge=1, le=MOST)
    failure_share: Number | None = Field(default=None, gt=0, le=1)
    window_seconds: Number = Field(default=60, gt=0, le=LONGEST_S)
    cool_down_seconds: Number = Field(default=30, gt=0, le=LONGEST_S)

    def limits(self) -> "BreakerLimits":
        """The limits that the options describe."""
        # Imported here: a process that only accepts runs makes no client.
        from teamrun.models.breaker import BreakerLimits

        return BreakerLimits(
            failures=self.failures,
            failure_share=self.failure_share,
            window_s=self.window_seconds,
            cool_down_s=self.cool_down_seconds,
        )


class CacheOptions(BaseModel):
    """The options of a profile's response cache."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    ttl_seconds: Number = Field(default=3600, gt=0, le=LONGEST_S)


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class FallbackOptions(BaseModel):
    """The options of a profile that name the profiles which stand in for it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    fallback: Annotated[tuple[str, ...], BeforeValidator(_names), Field(min_length=1)] | None = None
    fallback_on_content_filter: SwitchOption = False


@dataclass(frozen=True, slots=True)
class Profile:
    """A model as the operator's file describes it; texts are not expanded yet."""

    name: str
    type: str
    options: JsonMapping = field(repr=False)
    fallback: tuple[str, ...] = ()
    """The profiles that stand in for it, in order: if an environment variable that it needs is not
    set, and if its server does not answer."""
    where: str = ""
    """The pointer to it in the file."""
    price: Price | None = None
    """The operator's price."""
    pace: Pace = NO_PACE
    fallback_on_content_filter: bool = False
    """Whether `fallback` also stands in if a content filter refused the prompt."""
    breaker: BreakerOptions | None = None
    """None: calls are made whatever the server does."""
    cache: CacheOptions | None = None
    """None: each request is sent."""

    @property
    def provider(self) -> Provider:
        """The row of its type."""
        return PROVIDERS[self.type]

    def missing(self, environ: Mapping[str, str]) -> str | None:
        """The first environment variable that the profile needs and that is not set."""
        try:
            self._expanded(environ)
        except MissingVariable as error:
            return error.name
        return None

    def arguments(self, environ: Mapping[str, str]) -> JsonObject:
        """The arguments of the client's constructor.

        Raises:
            MissingVariable: An environment variable is not set.
            ValidationError: An option is invalid.
        """
        return self.provider.options.model_validate(self._expanded(environ)).arguments()

    def model(self, environ: Mapping[str, str]) -> str | None:
        """The provider's name of the model, if the profile has one that can be read here."""
        model = self.options.get("model")
        try:
            return expand_all(model, environ) if isinstance(model, str) else None
        except MissingVariable:
            return None

    def content(self) -> JsonObject:
        """The content that the digest covers: everything but secrets, the price and the pace."""
        secret = self.provider.options.secret
        options = {key: value for key, value in self.options.items() if key not in secret}
        return {"type": self.type, "options": options}

    def identity(self, environ: Mapping[str, str]) -> JsonObject:
        """What the answers of its model depend on: everything but secrets, as it is used here."""
        secret = self.provider.options.secret
        options = {k: v for k, v in self._expanded(environ).items() if k not in secret}
        return {"profile": self.name, "type": self.type, "options": options}

    def _expanded(self, environ: Mapping[str, str]) -> JsonObject:
        expanded = {
            key: value if key in self.provider.options.verbatim else expand_all(value, environ)
            for key, value in self.options.items()
        }
        # `${NAME:-}` means that the option is absent unless the variable is set.
        given = {key: value for key, value in expanded.items() if value != ""}
        row = self.provider
        return given if row.access is None else given | _reached(row, row.access, given, environ)


def _reached(
    row: Provider, access: FindAccess, given: JsonMapping, environ: Mapping[str, str]
) -> JsonObject:
    """Address and key, resolved here so that a client created later uses the same ones."""
    model = given.get("model")
    if not isinstance(model, str) or not isinstance(given.get("base_url"), str | None):
        return {}  # refused when the options are validated
    try:
        address, variable, key = access(model, row.address(given), environ)
    except NoAddress:
        raise MissingVariable(BASE_URL) from None
    if "api_key" in given:
        return {"base_url": address}
    if key is None and variable is not None:
        raise MissingVariable(variable)
    return {"base_url": address, "api_key": key or NO_KEY}
