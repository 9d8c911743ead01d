"""The canonical form of a team: a run pins it, `build_team` builds it, and it has a digest.

The operator's file, inline definitions and AutoGen component JSON are all read into this form.
Models and tools are names that the operator registered; texts may contain `${NAME}` of the
operator's file, unexpanded, so no secret is ever part of a definition.
"""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator

from teamrun.components.definitions.base import (
    BaseAgentDefinition,
    BaseTeamDefinition,
    FunctionName,
    Link,
    ModelName,
    ParticipantDefinition,
    Uses,
)
from teamrun.components.definitions.contexts import ContextDefinition
from teamrun.models.scalars import Count, Switch

__all__ = ["Agents", "RoundRobinDefinition", "SelectorDefinition", "SwarmDefinition", "without"]


class RoundRobinDefinition(BaseTeamDefinition):
    """A team whose participants speak in turn."""

    ends_itself: ClassVar[bool] = False

    type: Literal["round_robin_group_chat"] = "round_robin_group_chat"

    @property
    def links(self) -> tuple[Link, ...]:
        """From each participant to the next one, and from the last one to the first one."""
        circle = [*self.names, self.names[0]] if len(self.names) > 1 else []
        return tuple(Link("next", *pair) for pair in pairwise(circle))


class SelectorDefinition(BaseTeamDefinition):
    """A team in which a model selects the next speaker."""

    ends_itself: ClassVar[bool] = False

    type: Literal["selector_group_chat"] = "selector_group_chat"
    model: ModelName
    """The profile of the model that chooses."""
    participants: tuple[ParticipantDefinition, ...] = Field(min_length=2)
    selector_prompt: str | None = None
    allow_repeated_speaker: Switch = False
    max_selector_attempts: Count = Field(default=3, le=100)
    model_client_streaming: Switch = False
    model_context: ContextDefinition | None = None
    selector_func: FunctionName | None = None
    """A registered function that chooses in place of the model, or leaves it to the model."""
    candidate_func: FunctionName | None = None
    """A registered function that chooses between whom the model chooses."""

    @field_validator("participants")
    @classmethod
    def _no_member_is_the_selector(
        cls, members: tuple[ParticipantDefinition, ...]
    ) -> tuple[ParticipantDefinition, ...]:
        # `{team}/selector` is the path of the calls that choose the speaker.
        return without(members, "selector")

    @property
    def uses(self) -> Uses:
        """The model that chooses, and the functions."""
        functions = tuple(name for name in (self.selector_func, self.candidate_func) if name)
        return Uses(models=(self.model,), functions=functions)

    @property
    def links(self) -> tuple[Link, ...]:
        """The model may choose each of them."""
        return tuple(Link("selects", None, name) for name in self.names)


def without(
    members: tuple[ParticipantDefinition, ...], name: str
) -> tuple[ParticipantDefinition, ...]:
    """The members, none of which has the name.

    Raises:
        ValueError: One of them has it.
    """
    if any(member.name == name for member in members):
        raise ValueError(f"no member may be named {name!r}")
    return members


def _only_agents(members: tuple[ParticipantDefinition, ...]) -> tuple[ParticipantDefinition, ...]:
    for member in members:
        if isinstance(member, BaseTeamDefinition):
            raise ValueError(f"takes agents, and {member.name!r} is a team")
    return members


Agents = Annotated[tuple[ParticipantDefinition, ...], AfterValidator(_only_agents)]
"""The members of a team that takes no teams."""


class SwarmDefinition(BaseTeamDefinition):
    """A team in which the target of the latest handoff speaks next."""

    ends_itself: ClassVar[bool] = False

    type: Literal["swarm"] = "swarm"
    participants: Agents = Field(min_length=1)

    @field_validator("participants")
    @classmethod
    def _the_first_can_hand_off(cls, members: Agents) -> Agents:
        first = members[0]
        if isinstance(first, BaseAgentDefinition) and not first.hands_off:
            raise ValueError(f"begins with {first.name!r}, which needs 'handoffs'")
        return members

    @property
    def links(self) -> tuple[Link, ...]:
        """The handoffs, without those to a person."""
        names = set(self.names)
        return tuple(
            Link("handoff", member.name, target)
            for member in self.participants
            if isinstance(member, BaseAgentDefinition)
            for target in member.handoff_targets
            if target in names
        )
