"""Teams in either form: as people write them, or as AutoGen component JSON, mixed at will.

The modules that read components are imported with the first one: most processes read none.
"""

from collections.abc import Mapping
from typing import Any, cast

from teamrun.components.autogen.form import is_component, place_inside
from teamrun.components.definitions.base import ConditionDefinition
from teamrun.components.definitions.contexts import ContextDefinition
from teamrun.components.definitions.kinds import TEAMS
from teamrun.components.reading.conditions import ConditionReader
from teamrun.components.reading.scope import Member
from teamrun.components.reading.teams import Opened, TeamReader
from teamrun.json_types import JsonMapping

__all__ = ["DefinitionReader"]


class DefinitionReader(TeamReader):
    """Reads one document in either form."""

    def opened(self, raw: Any, where: str) -> Opened | None:
        """A team, in our form or as a component."""
        if not is_component(raw):
            place = None if isinstance(raw, Mapping) and "type" in raw else place_inside(raw)
            if place is None:
                return super().opened(raw, where)
            detail = f"This is a record with a team inside: send what is in {place!r} alone."
            self.problems.add(where, "invalid_definition", detail)
            return None
        from teamrun.components.autogen.components import unwrap

        component = unwrap(raw, where, "team", self.problems)
        if component is None:
            return None
        kind = TEAMS.by_provider[component.provider]
        known = {**kind.fields, "model_client": "model"}
        known = {key: known[key] for key in known if key not in ("type", "system_message")}
        return Opened(kind, component.config, component.where, known)

    def member(self, raw: Any, where: str, depth: int) -> Member | None:
        """A member of a team, in our form or as a component."""
        if not is_component(raw):
            return super().member(raw, where, depth)
        if str(cast("JsonMapping", raw)["provider"]) in TEAMS.by_provider:
            return self.team(raw, where, depth=depth + 1)
        from teamrun.components.autogen.agents import read_component_agent

        return read_component_agent(raw, where, self.scope._replace(depth=depth), self.problems)

    def condition(
        self, raw: Any, where: str, reader: ConditionReader
    ) -> ConditionDefinition | None:
        """A condition, in our form or as a component."""
        if is_component(raw):
            from teamrun.components.autogen.conditions import read_component_condition

            return read_component_condition(raw, where, reader, self.problems)
        return super().condition(raw, where, reader)

    def context(self, raw: Any, where: str) -> ContextDefinition | None:
        """A model context, in our form or as a component."""
        if is_component(raw):
            from teamrun.components.autogen.agents import read_component_context

            return read_component_context(raw, where, self.problems)
        return super().context(raw, where)

    def model(self, raw: Any, where: str, spelled: str) -> Any:
        """A model profile, by its name or as a component."""
        if spelled == "model_client":
            from teamrun.components.autogen.components import model_profile

            return model_profile(raw, where, self.scope, self.problems)
        return super().model(raw, where, spelled)
