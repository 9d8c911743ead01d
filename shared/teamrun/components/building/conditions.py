"""Termination conditions built from the canonical form."""

from teamrun.components.definitions.base import ConditionDefinition
from teamrun.components.definitions.kinds import CONDITIONS
from teamrun.components.definitions.table import load
from teamrun.conditions import TerminationCondition

__all__ = ["build_condition"]


def build_condition(definition: ConditionDefinition) -> TerminationCondition:
    """A new condition."""
    kind = CONDITIONS[definition.type]
    make = load(kind.build)
    options = {name: value for name, value in definition if name != "type"}
    if kind.is_combined:
        return make(*map(build_condition, options["conditions"]))
    return make(**options)
