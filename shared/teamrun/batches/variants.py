"""The teams that the items of a batch use, as their overrides select them."""

import json

from teamrun.batches.items import Chosen
from teamrun.batches.requests import BatchItem, BatchRequest
from teamrun.batches.spec import Variant
from teamrun.components.catalog import Teams
from teamrun.components.registry import Resolved
from teamrun.errors import DefinitionError
from teamrun.json_types import JsonObject
from teamrun.runs.log.spec import TeamRef
from teamrun.runs.service.requests import Overrides, check_limits

__all__ = ["Variants"]

_MOST_VARIANTS = 100

_Key = tuple[str | None, int | None, str | None]


class Variants:
    """The teams that the items of a batch use, each pinned once."""

    def __init__(self, teams: Teams, request: BatchRequest) -> None:
        self._teams = teams
        self._request = request
        self._numbers: dict[_Key, int | DefinitionError] = {}
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
        number = self._number(asked.overrides, asked.output_schema)
        if isinstance(number, DefinitionError):
            raise number

    def choose(self, item: BatchItem) -> Chosen:
        """The team of an item.

        Raises:
            DefinitionError: The model is unknown, the schema cannot be used, or there are too many
                different teams and schemas.
        """
        own, schema = self._request.overrides, item.output_schema
        if item.overrides is None and schema is None:
            return Chosen(0, own.temperature)
        if item.overrides is not None:
            own = own.model_copy(update=item.overrides.model_dump(exclude_unset=True))
        number = self._number(own, self._request.output_schema if schema is None else schema)
        if isinstance(number, DefinitionError):
            raise number
        return Chosen(number, own.temperature)

    def _number(self, changes: Overrides, schema: JsonObject | None) -> int | DefinitionError:
        text = None if schema is None else json.dumps(schema)
        key = changes.model, changes.max_turns, text
        if key not in self._numbers:
            self._numbers[key] = self._pinned(changes, schema)
        return self._numbers[key]

    def _pinned(self, changes: Overrides, schema: JsonObject | None) -> int | DefinitionError:
        if len(self.pinned) >= _MOST_VARIANTS:
            return DefinitionError(
                f"The items have more than {_MOST_VARIANTS} different combinations of `model`, "
                "`max_turns` and `output_schema`; divide the batch.",
                pointer="/overrides",
                code="too_many_variants",
            )
        resolved = self._base
        try:
            if changes.model or changes.max_turns:
                resolved = self._teams.overridden(
                    resolved.name,
                    resolved.definition,
                    model=changes.model,
                    max_turns=changes.max_turns,
                )
            if schema is not None:
                # Imported late: few batches have one.
                from teamrun.components.reading.output_schema import check_output_schema

                check_output_schema(schema)
        except DefinitionError as error:
            return error
        named = self._request.team is not None
        self.pinned.append(_variant(self._base, resolved, schema, named=named))
        return len(self.pinned) - 1


def _variant(
    base: Resolved, resolved: Resolved, schema: JsonObject | None, *, named: bool
) -> Variant:
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
        output_schema=schema,
    )
