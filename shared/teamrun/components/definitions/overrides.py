"""A team with some of its settings replaced for one run."""

from typing import Any, TypeVar, cast

from teamrun.components.definitions.base import (
    BaseDelegateDefinition,
    BaseParticipantDefinition,
    BaseTeamDefinition,
    TeamDefinition,
)
from teamrun.json_types import JsonObject

__all__ = ["overridden"]

PartT = TypeVar("PartT", bound=BaseParticipantDefinition | BaseDelegateDefinition)


def overridden(team: TeamDefinition, *, model: str | None, max_turns: int | None) -> TeamDefinition:
    """The definition with another model for all agents, or another number of turns.

    Args:
        team: As it is registered, or was brought along.
        model: The profile that all agents and selectors use, those of inner teams included.
        max_turns: Of the outermost team.
    """
    if model is not None:
        team = _with_model(team, model)
    return team if max_turns is None else team.model_copy(update={"max_turns": max_turns})


def _with_model(part: PartT, model: str) -> PartT:
    is_called = isinstance(part, BaseParticipantDefinition) and part.uses.models
    changes: JsonObject = {"model": model} if is_called else {}
    if isinstance(part, BaseTeamDefinition) and part.output_model is not None:
        changes["output_model"] = model
    for name in part.inner_fields:
        inner: Any = getattr(part, name)
        if isinstance(inner, tuple):
            several = cast("tuple[BaseParticipantDefinition | str, ...]", inner)
            changes[name] = tuple(
                each if isinstance(each, str) else _with_model(each, model) for each in several
            )
        else:
            changes[name] = _with_model(inner, model)
    return part.model_copy(update=changes)
