"""The teams that the items of a batch use, as their overrides select them."""

from teamrun.batches.items import Chosen
from teamrun.batches.requests import BatchRequest
from teamrun.batches.spec import Variant
from teamrun.components.catalog import Teams
from teamrun.components.registry import Resolved
from teamrun.errors import DefinitionError
from teamrun.runs.log.spec import TeamRef
from teamrun.runs.service.requests import Overrides, check_limits

__all__ = ["Variants"]

_MOST_VARIANTS = 100


class Variants:
    """The teams that the items of a batch use, each pinned once."""

    def __init__(self, teams: Teams, request: BatchRequest) -> None:
        self._teams = teams
        self._request = request
        self._numbers: dict[tuple[str | None, int | None], int | DefinitionError] = {}
        self.pinned: list[Variant] = []

    async def begin(self, tenant: str) -> None:
        """Resolve the team of the request.

        Raises:
            DefinitionError: It is unknown or invalid.
        """
        asked = self._request
        self._base = await self._teams.resolve(
            tenant, team=asked.team, team_spec=asked.team_spec, model=asked.overrides.model
        )
        check_limits(asked.item_limits, self._base.definition, at="/item_limits")
        number = self._number(asked.overrides)
        if isinstance(number, DefinitionError):
            raise number

    def choose(self, overrides: Overrides | None) -> Chosen:
        """The team of an item.

        Raises:
            DefinitionError: The model is unknown, or there are too many different teams.
        """
        common = self._request.overrides
        if overrides is None:
            return Chosen(0, common.temperature)
        given = overrides.model_dump(exclude_unset=True)
        own = common.model_copy(update=given)
        number = self._number(own)
        if isinstance(number, DefinitionError):
            raise number
        return Chosen(number, own.temperature)

    def _number(self, changes: Overrides) -> int | DefinitionError:
        key = changes.model, changes.max_turns
        if key not in self._numbers:
            self._numbers[key] = self._pinned(changes)
        return self._numbers[key]

    def _pinned(self, changes: Overrides) -> int | DefinitionError:
        if len(self.pinned) >= _MOST_VARIANTS:
            return DefinitionError(
                f"The items have more than {_MOST_VARIANTS} different combinations of `model` and "
                "`max_turns`; divide the batch.",
                pointer="/overrides",
                code="too_many_variants",
            )
        resolved = self._base
        if changes.model or changes.max_turns:
            try:
                resolved = self._teams.overridden(
                    resolved.name,
                    resolved.definition,
                    model=changes.model,
                    max_turns=changes.max_turns,
                )
            except DefinitionError as error:
                return error
        self.pinned.append(_variant(self._base, resolved, named=self._request.team is not None))
        return len(self.pinned) - 1


def _variant(base: Resolved, resolved: Resolved, *, named: bool) -> Variant:
    return Variant(
        team=TeamRef(
            name=base.name,
            digest=resolved.digest,
            id=base.id if named else None,
            version=base.version,
        ),
        definition=resolved.definition,
        models=resolved.models,
        tools=resolved.tools,
        agents=resolved.agents,
        functions=resolved.functions,
    )
