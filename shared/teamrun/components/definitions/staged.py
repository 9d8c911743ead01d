"""Teams that work in steps, as data."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from teamrun.components.definitions.base import (
    BaseTeamDefinition,
    MemberName,
    ParticipantDefinition,
)
from teamrun.models.scalars import Count

__all__ = [
    "CompetitiveDefinition",
    "ConcurrentDefinition",
    "DebateDefinition",
    "HierarchicalDefinition",
    "SequentialDefinition",
    "StagedDefinition",
]


class StagedDefinition(BaseTeamDefinition):
    """A team that works in steps."""

    role: ClassVar[str] = ""
    """The field with the name of the member that has another task than the others."""

    @property
    def options(self) -> dict[str, object]:
        """The arguments of the team's class that other teams do not have."""
        own = type(self).model_fields.keys() - BaseTeamDefinition.model_fields.keys() - {"type"}
        return {name: getattr(self, name) for name in own}

    @model_validator(mode="after")
    def _role_is_a_member(self) -> Self:
        named = getattr(self, self.role) if self.role else None
        names = [member.name for member in self.participants]
        if named is not None and named not in names:
            raise ValueError(f"{self.role!r} names {named!r}, and the members are {names}")
        if named is not None and len(names) < 2:
            raise ValueError(f"{self.role!r} is the only member; the team needs others")
        return self


class SequentialDefinition(StagedDefinition):
    """A team whose members speak once each, one after another."""

    type: Literal["sequential"] = "sequential"


class ConcurrentDefinition(StagedDefinition):
    """A team whose members answer at the same time."""

    role = "synthesizer"
    type: Literal["concurrent"] = "concurrent"
    synthesizer: MemberName | None = None
    final_prompt: str | None = None


class HierarchicalDefinition(StagedDefinition):
    """A team whose manager divides the work among specialists."""

    role = "manager"
    type: Literal["hierarchical"] = "hierarchical"
    participants: tuple[ParticipantDefinition, ...] = Field(min_length=2)
    manager: MemberName | None = None
    rounds: Count = 3
    final_prompt: str | None = None


class DebateDefinition(StagedDefinition):
    """A team whose members debate, with a judge."""

    role = "judge"
    type: Literal["debate"] = "debate"
    participants: tuple[ParticipantDefinition, ...] = Field(min_length=3)
    judge: MemberName | None = None
    rounds: Count = 2
    final_prompt: str | None = None


class CompetitiveDefinition(StagedDefinition):
    """A team whose members compete with proposals."""

    role = "judge"
    type: Literal["competitive"] = "competitive"
    judge: MemberName | None = None
    enough: Count | None = None
    final_prompt: str | None = None

    @model_validator(mode="after")
    def _there_are_enough(self) -> Self:
        competitors = len(self.participants) - (self.judge is not None)
        if self.enough is not None and self.enough > competitors:
            raise ValueError(f"'enough' is {self.enough}, and there are {competitors} competitors")
        return self
