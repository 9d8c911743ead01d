"""Conditions of AutoGen component JSON, read into the canonical form."""

from typing import Any, Final

from teamrun.components.autogen.components import unwrap
from teamrun.components.autogen.form import is_component
from teamrun.components.definitions.base import ConditionDefinition
from teamrun.components.definitions.kinds import CONDITIONS
from teamrun.components.reading.conditions import ConditionReader
from teamrun.components.reading.fields import as_list
from teamrun.components.reading.problems import Problems, pointer

__all__ = ["read_component_condition"]

_MAX_DEPTH: Final = 16


def read_component_condition(
    raw: Any, where: str, reader: ConditionReader, problems: Problems, *, depth: int = 0
) -> ConditionDefinition | None:
    """A termination component; None: a problem was added."""
    if depth > _MAX_DEPTH:
        problems.add(where, "too_large", "Conditions are nested too deeply.")
        return None
    if not is_component(raw):
        return reader.one(raw, where, depth)
    component = unwrap(raw, where, "condition", problems)
    if component is None:
        return None
    kind = CONDITIONS.by_provider[component.provider]
    if not kind.is_combined:
        values = {key: value for key, value in component.config.items() if value is not None}
        return reader.simple(kind, values, component.where)
    place = pointer(component.where, "conditions")
    several = as_list(component.config.get("conditions"), place, problems, what="'conditions'")
    read = [
        read_component_condition(item, pointer(place, index), reader, problems, depth=depth + 1)
        for index, item in enumerate(several)
    ]
    inner = tuple(condition for condition in read if condition is not None)
    return kind.model.model_validate({"conditions": inner}) if inner else None
