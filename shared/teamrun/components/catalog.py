"""Lookup, listing and validation of teams.

A `Registry` contains the models, tools, custom agents and teams of one process. A `Catalog` finds
a tenant's team by name. It is asynchronous, so that teams can be read from a store;
`RegisteredTeams` serves those of the registry, the same for every tenant; `teamrun.catalog` adds
those that clients have stored. The service of runs and
the HTTP API use `Teams`, not a registry, to find teams.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar

from teamrun.components.definitions.base import TeamDefinition
from teamrun.components.reading.bounds import is_within
from teamrun.components.reading.problems import Problem, bounded
from teamrun.components.registry import Registry, Resolved
from teamrun.components.resources import DefinitionProblem, Note, TeamSummary, Validation
from teamrun.errors import DefinitionError
from teamrun.json_types import JsonMapping

__all__ = ["Catalog", "RegisteredTeams", "Teams", "reading"]

ResultT = TypeVar("ResultT")

_FEW_VALUES: Final = 500
_LEVELS: Final = 48
"""A definition within both is read in a few milliseconds."""


class Catalog(Protocol):
    """Finds the teams of a tenant."""

    async def resolve(self, tenant: str, name: str) -> Resolved:
        """The team of a name; `@` and a version may follow the name.

        Raises:
            DefinitionError: The team or version is unknown; the pointer is `/team`.
            Unavailable: The store of the teams does not respond.
        """
        ...

    async def summaries(self, tenant: str) -> Sequence[TeamSummary]:
        """All teams of the tenant, by name.

        Raises:
            Unavailable: The store of the teams does not respond.
        """
        ...

    async def summary(self, tenant: str, name: str) -> TeamSummary | None:
        """The team of exactly that name; None if there is none.

        Raises:
            Unavailable: The store of the teams does not respond.
        """
        ...


class RegisteredTeams:
    """The teams of the operator's file: every tenant has all of them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def resolve(self, tenant: str, name: str) -> Resolved:
        """The team of a name.

        Raises:
            DefinitionError: The team or version is unknown; the pointer is `/team`.
        """
        return self._registry.resolve(team=name)

    async def summaries(self, tenant: str) -> Sequence[TeamSummary]:
        """All registered teams, by name."""
        return self._registry.teams()

    async def summary(self, tenant: str, name: str) -> TeamSummary | None:
        """The team of exactly that name; None if there is none."""
        if name not in self._registry.team_names():
            return None
        return self._registry.summary(self._registry.resolve(team=name))


class Teams:
    """The teams of the catalog, and definitions that clients send.

    Args:
        registry: Reads definitions that clients send, and resolves the models of a team.
        catalog: Looks up names; None uses the teams of the registry.
    """

    def __init__(self, registry: Registry, catalog: Catalog | None = None) -> None:
        self._registry = registry
        self._catalog: Catalog = catalog or RegisteredTeams(registry)

    async def resolve(
        self,
        tenant: str,
        *,
        team: str | None,
        team_spec: JsonMapping | None,
        model: str | None = None,
    ) -> Resolved:
        """The team that a request names or defines; exactly one of the two is given.

        Args:
            tenant: The tenant.
            team: The name of a team.
            team_spec: A definition.
            model: The profile of the request's `overrides`; see `Registry.resolve`.

        Raises:
            DefinitionError: It is unknown or invalid; the pointer is into the request body.
            Unavailable: The catalog does not respond.
        """
        if team is not None and team_spec is None:
            return await self._catalog.resolve(tenant, team)
        resolve = partial(self._registry.resolve, team=team, team_spec=team_spec, model=model)
        return await reading(team_spec, resolve)

    def overridden(
        self, name: str, definition: TeamDefinition, *, model: str | None, max_turns: int | None
    ) -> Resolved:
        """A team with some of its settings replaced; see `Registry.overridden`.

        Raises:
            DefinitionError: The model profile is unknown; the pointer is into the request body.
        """
        return self._registry.overridden(name, definition, model=model, max_turns=max_turns)

    async def validate(
        self, tenant: str, *, team: str | None, team_spec: JsonMapping | None
    ) -> Validation:
        """The errors and warnings of a team, at most 100 of each and how many more there are.

        Raises:
            Unavailable: The catalog does not respond.
        """
        found = await self._found(tenant, team, team_spec)
        return Validation(
            valid=found.valid,
            errors=[*bounded(found.errors, _more_problems)],
            warnings=[*bounded(found.warnings, _more_warnings)],
        )

    async def _found(
        self, tenant: str, team: str | None, team_spec: JsonMapping | None
    ) -> Validation:
        if team is None or team_spec is not None:
            return await reading(team_spec, partial(self._validated, team, team_spec))
        try:
            resolved = await self._catalog.resolve(tenant, team)
        except DefinitionError as error:
            problems = error.data.get("problems") or [Problem.of(error)._asdict()]
            return Validation(
                valid=False, errors=[DefinitionProblem(**problem) for problem in problems]
            )
        notes = self._registry.notes(resolved.definition, "/team")
        return Validation(valid=True, warnings=[*notes, *self._doubts(resolved, "/team")])

    def _validated(self, team: str | None, team_spec: JsonMapping | None) -> Validation:
        found = self._registry.validate(team=team, team_spec=team_spec)
        if not found.valid:
            return found
        resolved = self._registry.resolve(team=team, team_spec=team_spec)
        notes = self._doubts(resolved, "/team_spec")
        return found.model_copy(update={"warnings": [*found.warnings, *notes]})

    def _doubts(self, resolved: Resolved, where: str) -> list[Note]:
        texts = self._registry.doubts(resolved.definition)
        return [Note(pointer=where, detail=text) for text in texts]

    async def all(self, tenant: str) -> Sequence[TeamSummary]:
        """The teams of a tenant, by name.

        Raises:
            Unavailable: The catalog does not respond.
        """
        return await self._catalog.summaries(tenant)

    async def get(self, tenant: str, name: str) -> TeamSummary | None:
        """The team of exactly that name; None if there is none.

        Raises:
            Unavailable: The catalog does not respond.
        """
        return await self._catalog.summary(tenant, name)


def _more_problems(where: str, detail: str) -> DefinitionProblem:
    return DefinitionProblem(pointer=where, code="too_large", detail=detail)


def _more_warnings(where: str, detail: str) -> Note:
    return Note(pointer=where, detail=detail)


async def reading(spec: JsonMapping | None, read: Callable[[], ResultT]) -> ResultT:
    """The result of reading a definition; a large one is read in a thread.

    The process serves other requests meanwhile.

    Args:
        spec: The definition; None: a registered team, which is read already.
        read: Reads it.
    """
    if spec is None or is_within(spec, values=_FEW_VALUES, levels=_LEVELS):
        return read()
    return await asyncio.to_thread(read)
