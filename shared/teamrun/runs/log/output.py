"""The output of a run: the last message of the agents that its definition names in `output`."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from teamrun.components.definitions.base import (
    BaseTeamDefinition,
    ParticipantDefinition,
    TeamDefinition,
)
from teamrun.json_types import JsonObject
from teamrun.messages import BaseChatMessage, HandoffMessage, StructuredMessage

__all__ = ["Output", "counts_as_output", "output_of_message", "output_sources"]


def output_sources(definition: TeamDefinition) -> frozenset[str] | None:
    """The agents whose last message is the output; None if the definition names none.

    An inner team stands for those that its own `output` names, or for all of its agents.
    """
    if definition.output is None:
        return None
    return frozenset(agent for name in definition.output for agent in _speakers(definition, name))


def counts_as_output(message: BaseChatMessage, sources: frozenset[str] | None) -> bool:
    """Whether a message counts as output; the last such message is the output of the run.

    A handoff does not count: its text addresses the next agent.
    """
    if sources is None:
        return True
    return message.source in sources and not isinstance(message, HandoffMessage)


def output_of_message(message: BaseChatMessage) -> JsonObject:
    """The message as the `output` of a run."""
    content = message.dump()["content"] if isinstance(message, StructuredMessage) else None
    return {"text": message.to_text(), "json": content}


def _speakers(part: ParticipantDefinition, name: str) -> set[str]:
    if not isinstance(part, BaseTeamDefinition):
        return {part.name} if part.name == name else set()
    found: set[str] = set()
    for member in part.participants:
        found |= _all_of(member) if member.name == name else _speakers(member, name)
    return found


def _all_of(part: ParticipantDefinition) -> set[str]:
    if not isinstance(part, BaseTeamDefinition):
        return {part.name}
    if part.output is not None:
        return {agent for name in part.output for agent in _speakers(part, name)}
    return {agent for member in part.participants for agent in _all_of(member)}


class Output(BaseModel):
    """The last message of the agents that the definition names in `output`; by default, of all."""

    model_config = ConfigDict(frozen=True, defer_build=True, serialize_by_alias=True)

    text: str
    data: Any = Field(default=None, alias="json")
    """The structured content of that message, if it has one; `json` on the wire."""
