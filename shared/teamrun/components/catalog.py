"""Where teams are looked up, and what clients ask about them.

`Registry` is what one process holds: models, tools, agent classes and the operator's teams. A
`Catalog` finds the team of a name for a tenant. It is asynchronous, so that teams can come from a
store; `RegisteredTeams` has those of the registry, the same for every tenant. The service of runs
and the HTTP API use `Teams`, never the teams of a registry.
"""

from collections.abc import Sequence
from typing import Protocol

from teamrun.components.definitions.base import TeamDefinition
from teamrun.components.reading.problems import Problem
from teamrun.components.registry import Registry, Resolved
from teamrun.components.resources import Fault, TeamSummary, Validation
from teamrun.errors import DefinitionError
from teamrun.json_types import JsonMapping

__all__ = ["Catalog", "RegisteredTeams", "Teams"]


class Catalog(Protocol):
    """Finds the teams of a tenant."""

    async def resolve(self, tenant: str, name: str) -> Resolved:
        """The team of a name; `@` and a version may follow the name.

        Raises:
            DefinitionError: There is no such team or version; the pointer is `/team`.
            Unavailable: The place where the teams are kept does not answer.
        """
        ...

    async def teams(self, tenant: str) -> Sequence[Resolved]:
        """All teams of the tenant, by name.

        Raises:
            Unavailable: The place where the teams are kept does not answer.
        """
        ...


class RegisteredTeams:
    """The teams of the operator's file: every tenant has all of them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def resolve(self, tenant: str, name: str) -> Resolved:
        """The team of a name.

        Raises:
            DefinitionError: There is no such team or version; the pointer is `/team`.
        """
        return self._registry.resolve(team=name)

    async def teams(self, tenant: str) -> Sequence[Resolved]:
        """All registered teams, by name."""
        return self._registry.registered()


class Teams:
    """What clients ask about teams: those of the catalog, and definitions that they send.

    Args:
        registry: Reads definitions that clients send, and knows the models behind a team.
        catalog: Looks up names; None uses the teams of the registry.
    """

    def __init__(self, registry: Registry, catalog: Catalog | None = None) -> None:
        self._registry = registry
        self._catalog: Catalog = catalog or RegisteredTeams(registry)

    async def resolve(
        self, tenant: str, *, team: str | None, team_spec: JsonMapping | None
    ) -> Resolved:
        """The team that a request names or brings along; exactly one of them is given.

        Raises:
            DefinitionError: It is unknown or invalid; the pointer is into the request body.
            Unavailable: The catalog does not answer.
        """
        if team is not None and team_spec is None:
            return await self._catalog.resolve(tenant, team)
        return self._registry.resolve(team=team, team_spec=team_spec)

    def overridden(
        self, name: str, definition: TeamDefinition, *, model: str | None, max_turns: int | None
    ) -> Resolved:
        """A team with some of its settings replaced; see `Registry.overridden`.

        Raises:
            DefinitionError: There is no such model profile; the pointer is into the request body.
        """
        return self._registry.overridden(name, definition, model=model, max_turns=max_turns)

    async def validate(
        self, tenant: str, *, team: str | None, team_spec: JsonMapping | None
    ) -> Validation:
        """Everything that is wrong with a team, and what is worth knowing about it.

        Raises:
            Unavailable: The catalog does not answer.
        """
        if team is None or team_spec is not None:
            return self._registry.validate(team=team, team_spec=team_spec)
        try:
            resolved = await self._catalog.resolve(tenant, team)
        except DefinitionError as error:
            problems = error.data.get("problems") or [Problem.of(error)._asdict()]
            return Validation(valid=False, errors=[Fault(**problem) for problem in problems])
        notes = self._registry.notes(resolved.definition, "/team")
        return Validation(valid=True, warnings=notes)

    async def all(self, tenant: str) -> list[TeamSummary]:
        """The teams of a tenant, by name.

        Raises:
            Unavailable: The catalog does not answer.
        """
        return [self._registry.summary(team) for team in await self._catalog.teams(tenant)]

    async def get(self, tenant: str, name: str) -> TeamSummary | None:
        """The team of exactly that name; None if there is none.

        Raises:
            Unavailable: The catalog does not answer.
        """
        try:
            resolved = await self._catalog.resolve(tenant, name)
        except DefinitionError:
            return None
        return self._registry.summary(resolved) if resolved.name == name else None
