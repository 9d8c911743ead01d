"""Teams of the operator's own code, as data; a module of its own, because few teams are."""

from typing import ClassVar, Literal

from pydantic import Field

from teamrun.components.definitions.base import (
    BaseParticipantDefinition,
    BaseTeamDefinition,
    FunctionName,
    ModelName,
    ParticipantDefinition,
    Uses,
)

__all__ = ["CustomTeamDefinition"]


class CustomTeamDefinition(BaseTeamDefinition):
    """A team that the operator wrote in Python; who is in it only its code knows."""

    type: Literal["custom_team"] = "custom_team"
    function: FunctionName
    """The name under which the function that makes it, or the team itself, is registered."""
    model: ModelName | None = None
    """A model profile, for a function that takes a model client."""
    participants: tuple[ParticipantDefinition, ...] = Field(default=(), max_length=0)

    not_written: ClassVar[frozenset[str]] = frozenset(
        {
            *("participants", "termination", "emit_team_events"),
            *("shared_memory", "objectives", "constraints"),
        }
    )
    """What its code decides."""

    @property
    def uses(self) -> Uses:
        """Its function, and the model if it names one."""
        models = () if self.model is None else (self.model,)
        return Uses(models=models, functions=(self.function,))

    @property
    def voices(self) -> tuple[BaseParticipantDefinition, ...]:
        """The team itself stands for its agents, whose names are not known."""
        return (self,)

    @property
    def has_unseen_agents(self) -> bool:
        """It has nothing but those."""
        return True
