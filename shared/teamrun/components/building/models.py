"""Model profiles and the clients behind them: one client per process for each profile."""

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from teamrun.components.definitions.digest import digest
from teamrun.errors import DefinitionError, MissingPackage, UsageError
from teamrun.models.base import ChatCompletionClient
from teamrun.models.pacing.pacing import Pacing
from teamrun.models.prices import Price
from teamrun.validation import misfits

if TYPE_CHECKING:  # it imports all providers, which a process without profiles does not need
    from teamrun.components.definitions.profiles import Profile
    from teamrun.models.answers import Answers

__all__ = ["Active", "Profiles"]


class Active(NamedTuple):
    """The profile that a name resolves to in this environment."""

    profile: "Profile"
    missing: str | None
    """The variable that even the last fallback lacks."""
    unset: str | None
    """The variable that the named profile itself lacks."""


class Profiles(Collection[str]):
    """All profiles of a process by name. Clients are made at first use and closed together."""

    def __init__(
        self,
        profiles: "Mapping[str, Profile]",
        *,
        environ: Mapping[str, str],
        clients: Mapping[str, ChatCompletionClient] | None = None,
    ) -> None:
        self._profiles = dict(profiles)
        self._environ = environ
        self._given = dict(clients or {})
        self._clients: dict[str, ChatCompletionClient] = {}
        self._chains: dict[tuple[str, ...], ChatCompletionClient] = {}
        self._pacing = Pacing()
        self._answers: Answers | None = None
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
        steps = [(step, step.missing(self._environ)) for step in self._chain(name)]
        profile, missing = next((step for step in steps if step[1] is None), steps[-1])
        return Active(profile, missing, steps[0][1])

    def model(self, name: str) -> str | None:
        """The provider's name of the model that is used under a name here, if it is known."""
        active = self.active(name)
        return None if active is None else active.profile.model(self._environ)

    def is_scripted(self, name: str) -> bool:
        """Whether a script answers under a name here."""
        if (active := self.active(name)) is None:
            return self._given[name].is_scripted
        return active.profile.provider.is_scripted

    def entry_points(self) -> list[str]:
        """The profiles that are no fallback of another one."""
        fallbacks = {each for profile in self._profiles.values() for each in profile.fallback}
        return [name for name in self if name not in fallbacks]

    def price(self, name: str) -> Price | None:
        """The operator's price for the model that a name resolves to here."""
        if name not in self._prices:
            active = self.active(name)
            self._prices[name] = None if active is None else active.profile.price
        return self._prices[name]

    def digest(self, name: str) -> str:
        """The digest of a profile with its fallbacks, the same in every environment."""
        if name in self._given:
            return digest({"type": type(self._given[name]).__name__})
        return digest([profile.content() for profile in self._chain(name)])

    def for_model(self, model: str, types: Collection[str] = ()) -> str | None:
        """The profile of that name, or the first one that calls the provider's model `model`.

        Args:
            model: The name of a profile or of a model.
            types: A profile of one of these types is preferred.
        """
        if model in self:
            return model
        named = [
            name
            for name, profile in self._profiles.items()
            if profile.missing(self._environ) is None
            and profile.arguments(self._environ).get("model") == model
        ]
        preferred = [name for name in named if self._profiles[name].type in types]
        return next(iter(preferred or named), None)

    def client(self, name: str) -> ChatCompletionClient:
        """The client behind a name, with the clients of its fallbacks for calls that fail.

        A script never answers in place of a model whose server has failed.

        Raises:
            DefinitionError: The profile is unknown, or a variable that it needs is not set.
        """
        if name in self._given:
            return self._given[name]
        if name not in self._profiles:
            raise DefinitionError(f"There is no model profile {name!r}.", code="unknown_model")
        active = self.active(name)
        assert active is not None, "clients that were handed in are returned above"
        profile, missing, _ = active
        if missing is not None:
            from teamrun.models.makers import BASE_URL

            address = ", write its 'base_url'" if missing == BASE_URL else ""
            raise DefinitionError(
                f"The model profile {name!r} needs the environment variable {missing}; set it"
                f"{address}, or give the profile a 'fallback'.",
                pointer=profile.where,
                code="model_not_ready",
            )
        others = [
            step
            for step in self._chain(profile.name)[1:]
            if step.missing(self._environ) is None
            and step.provider.is_scripted == profile.provider.is_scripted
        ]
        return self._with_fallbacks([profile, *others]) if others else self._own(profile)

    def _chain(self, name: str) -> "list[Profile]":
        """A profile and its fallbacks in order, each followed by its own."""
        found: dict[str, Profile] = {}
        ahead = [name]
        while ahead:
            step = ahead.pop()
            if step not in found:
                found[step] = self._profiles[step]
                ahead += reversed(found[step].fallback)
        return list(found.values())

    def _with_fallbacks(self, chain: "list[Profile]") -> ChatCompletionClient:
        from teamrun.models.fallback import Candidate, FallbackModel

        key = tuple(profile.name for profile in chain)
        if key not in self._chains:
            self._chains[key] = FallbackModel(
                [
                    Candidate(step.name, self._own(step), step.fallback_on_content_filter)
                    for step in chain
                ]
            )
        return self._chains[key]

    def _own(self, profile: "Profile") -> ChatCompletionClient:
        """The client of a profile alone."""
        if profile.name not in self._clients:
            self._clients[profile.name] = self._made(profile)
        return self._clients[profile.name]

    def _made(self, profile: "Profile") -> ChatCompletionClient:
        # Imported here: a process that only accepts runs needs no model client.
        from teamrun.models.providers import make_client

        try:
            arguments = profile.arguments(self._environ)
        except ValidationError as error:
            first = misfits(error, profile.options)[0]
            subject = f"Option {'.'.join(map(str, first.path))!r} of the model profile"
            raise DefinitionError(
                first.sentence(f"{subject} {profile.name!r}"),
                pointer="/".join([profile.where, *map(str, first.path)]),
            ) from None
        try:
            client = make_client(profile.type, **arguments)
        except MissingPackage:
            raise
        except DefinitionError as error:
            raise DefinitionError(
                f"The model profile {profile.name!r} is invalid: {error.message}",
                pointer=profile.where + error.pointer,
                code=error.code,
            ) from error
        except UsageError as error:
            raise DefinitionError(
                f"The model profile {profile.name!r} is invalid: {error.message}",
                pointer=profile.where,
            ) from error
        client = self._pacing.paced(client, profile.name, *profile.pace)
        if profile.breaker is not None:
            from teamrun.models.breaker import Circuit, with_breaker

            client = with_breaker(client, Circuit(profile.name, profile.breaker.limits()))
        if profile.cache is not None and not client.is_scripted:
            from teamrun.models.cached import CachedModel

            client = CachedModel(
                client,
                identity=profile.identity(self._environ),
                life=timedelta(seconds=profile.cache.ttl_seconds),
                answers=self._answers_now,
            )
        return client

    def _answers_now(self) -> "Answers":
        if self._answers is None:
            from teamrun.models.answers import LocalAnswers

            self._answers = LocalAnswers()
        return self._answers

    def share_answers(self, answers: "Answers") -> None:
        """Keep the answers of response caches there from now on."""
        self._answers = answers

    @property
    def pacing(self) -> Pacing:
        """The pace of the clients that were made here."""
        return self._pacing

    async def close(self) -> None:
        """Close the clients that were made here."""
        clients, self._clients = self._clients, {}
        self._chains.clear()
        for client in clients.values():
            await client.close()
        await self._pacing.close()
