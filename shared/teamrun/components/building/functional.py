"""Termination conditions of the operator's own code."""

from typing import Any, cast

from teamrun.conditions import FunctionalTermination, TerminationCondition
from teamrun.conditions.base import AndTerminationCondition, OrTerminationCondition
from teamrun.errors import DefinitionError, UsageError

__all__ = ["build_functional", "check_keeps_its_counts"]


def build_functional(found: Any, name: str) -> TerminationCondition:
    """A condition of a registered function, or of a registered class.

    Args:
        found: The function or the class.
        name: The name under which it is registered.

    Raises:
        DefinitionError: The class cannot be called, or loses its counts.
    """
    made_by = getattr(found, "func", found)  # a class with options is a partial
    if not (isinstance(made_by, type) and issubclass(made_by, TerminationCondition)):
        if isinstance(made_by, type) or not callable(found):
            raise DefinitionError(
                f"The function {name!r} is no termination condition; register a function of the"
                " messages, or a class derived from TerminationCondition."
            )
        return FunctionalTermination(cast("Any", found))
    try:
        condition = cast("TerminationCondition", found())
        check_keeps_its_counts(condition)
    except Exception as error:
        raise DefinitionError(f"The function {name!r} made no condition: {error}") from error
    return condition


def check_keeps_its_counts(condition: TerminationCondition | None) -> None:
    """Refuse conditions that would count from zero when a run continues in another worker.

    Raises:
        UsageError: A class has no `save_state` and `load_state` of its own.
    """
    if isinstance(condition, (AndTerminationCondition, OrTerminationCondition)):
        for each in condition.conditions:
            check_keeps_its_counts(each)
        return
    if condition is None:
        return
    kind, base = type(condition), TerminationCondition
    if kind.save_state is base.save_state or kind.load_state is base.load_state:
        raise UsageError(
            f"The condition {kind.__name__} has no save_state and load_state of its own, so a run"
            " that continues in another worker would lose its counts. Write both."
        )
