"""Termination conditions built from the canonical form."""

from collections.abc import Callable
from typing import Any

from teamrun.components.definitions.base import ConditionDefinition
from teamrun.components.definitions.kinds import CONDITIONS
from teamrun.components.definitions.table import load
from teamrun.conditions import TerminationCondition

__all__ = ["build_condition"]


def build_condition(
    definition: ConditionDefinition, function: Callable[[str], Any]
) -> TerminationCondition:
    """A new condition; `function` looks up registered functions."""
    kind = CONDITIONS[definition.type]
    make = load(kind.build)
    options = {name: value for name, value in definition if name != "type"}
    if kind.is_combined:
        return make(*(build_condition(each, function) for each in options["conditions"]))
    if definition.functions:
        return make(function(options["function"]), options["function"])
    return make(**options)
