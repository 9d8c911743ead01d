"""Teams that work in steps, as data."""

from itertools import pairwise
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from teamrun.components.definitions.base import (
    BaseTeamDefinition,
    Link,
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

    @property
    def options(self) -> dict[str, object]:
        """The arguments of the team's class that other teams do not have."""
        own = type(self).model_fields.keys() - BaseTeamDefinition.model_fields.keys() - {"type"}
        return {name: getattr(self, name) for name in own}

    # Of the field and not of the whole, so that it is checked also if another field is invalid.
    @field_validator("synthesizer", "manager", "judge", check_fields=False)
    @classmethod
    def _is_a_member(cls, named: str | None, info: ValidationInfo) -> str | None:
        names = [member.name for member in info.data.get("participants", ())]
        if named is not None and names and named not in names:
            raise ValueError(f"names {named!r}, and the members are {names}")
        if named is not None and len(names) == 1:
            raise ValueError("names the only member; the team needs others")
        return named

    def _at_once(self, last: str | None, label: str | None = None) -> tuple[Link, ...]:
        """All start at the same time, and `last` speaks after them."""
        others = [name for name in self.names if name != last]
        start = (Link("starts", None, name, label) for name in others)
        return (*start, *(Link("next", name, last) for name in others if last is not None))


class SequentialDefinition(StagedDefinition):
    """A team whose members speak once each, one after another."""

    type: Literal["sequential"] = "sequential"

    @property
    def links(self) -> tuple[Link, ...]:
        """From each member to the next one."""
        return tuple(Link("next", *pair) for pair in pairwise(self.names))


class ConcurrentDefinition(StagedDefinition):
    """A team whose members answer at the same time."""

    type: Literal["concurrent"] = "concurrent"
    synthesizer: MemberName | None = None
    final_prompt: str | None = None

    @property
    def links(self) -> tuple[Link, ...]:
        """All answer; then the synthesizer, if there is one, combines."""
        return self._at_once(self.synthesizer)


class HierarchicalDefinition(StagedDefinition):
    """A team whose manager divides the work among specialists."""

    type: Literal["hierarchical"] = "hierarchical"
    participants: tuple[ParticipantDefinition, ...] = Field(min_length=2)
    manager: MemberName | None = None
    rounds: Count = 3
    final_prompt: str | None = None

    @property
    def links(self) -> tuple[Link, ...]:
        """The manager assigns parts, and reads the results."""
        manager = self.manager or self.names[0]
        others = [name for name in self.names if name != manager]
        there = (Link("assigns", manager, name) for name in others)
        return (*there, *(Link("next", name, manager) for name in others))


class DebateDefinition(StagedDefinition):
    """A team whose members debate, with a judge."""

    type: Literal["debate"] = "debate"
    participants: tuple[ParticipantDefinition, ...] = Field(min_length=3)
    judge: MemberName | None = None
    rounds: Count = 2
    final_prompt: str | None = None

    @property
    def links(self) -> tuple[Link, ...]:
        """All debate; then the judge decides."""
        label = f"{self.rounds} rounds" if self.rounds > 1 else None
        return self._at_once(self.judge or self.names[-1], label)


class CompetitiveDefinition(StagedDefinition):
    """A team whose members compete with proposals."""

    type: Literal["competitive"] = "competitive"
    judge: MemberName | None = None
    enough: Count | None = None
    final_prompt: str | None = None

    @property
    def links(self) -> tuple[Link, ...]:
        """All propose; then the judge, if there is one, chooses."""
        return self._at_once(self.judge)

    @field_validator("enough")
    @classmethod
    def _there_are_enough(cls, enough: int | None, info: ValidationInfo) -> int | None:
        members = len(info.data.get("participants", ()))
        competitors = members - (info.data.get("judge") is not None)
        if members and enough is not None and enough > competitors:
            raise ValueError(f"is {enough}, and there are {competitors} competitors")
        return enough
