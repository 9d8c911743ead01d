"""The output of a run, the last message of the agents that `output` names; and its result."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from teamrun.components.definitions.base import (
    BaseTeamDefinition,
    ParticipantDefinition,
    TeamDefinition,
)
from teamrun.core.tolerance import MAY_BE_ABSENT, OPEN
from teamrun.json_types import JsonObject
from teamrun.messages import BaseChatMessage, HandoffMessage, StructuredMessage
from teamrun.runs.log.entries import ArtifactRecord, ErrorRecord
from teamrun.runs.log.status import RunStatus
from teamrun.runs.log.usage import RunUsage

__all__ = [
    "Output",
    "OutputProblem",
    "RunResult",
    "counts_as_output",
    "output_of_message",
    "output_sources",
]


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
        voices = {voice.name for voice in part.voices}
        return voices if name in {part.name, *voices} else set()
    found: set[str] = set()
    for member in part.participants:
        found |= _all_of(member) if member.name == name else _speakers(member, name)
    return found


def _all_of(part: ParticipantDefinition) -> set[str]:
    if not isinstance(part, BaseTeamDefinition):
        return {voice.name for voice in part.voices}
    if part.output is not None:
        return {agent for name in part.output for agent in _speakers(part, name)}
    return {agent for member in part.participants for agent in _all_of(member)}


class OutputProblem(BaseModel):
    """A place where an output does not fit the `output_schema` of its run."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    pointer: str
    """JSON pointer (RFC 6901) into the output; empty for the whole output."""
    detail: str


def _is_empty(value: object) -> bool:
    return not value


class Output(BaseModel):
    """The last message of the agents that the definition names in `output`; by default, of all.

    For a run with an `output_schema`, the answer that was validated.
    """

    model_config = ConfigDict(frozen=True, defer_build=True, serialize_by_alias=True)

    text: str
    data: Any = Field(default=None, alias="json")
    """The output as data, if the message is structured or the run has an `output_schema`; `json`
    on the wire."""
    problems: list[OutputProblem] = Field(
        default=[], exclude_if=_is_empty, json_schema_extra={MAY_BE_ABSENT: True}
    )
    """Where `text` does not fit the `output_schema`; left out if there is nothing."""


class RunResult(BaseModel):
    """The full result of a finished run; the same document as `result.json` beside its log."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    run_id: str
    status: Annotated[RunStatus, OPEN]
    stop_reason: str | None = None
    stop_code: str | None = None
    output: Output | None = None
    error: ErrorRecord | None = None
    usage: RunUsage = Field(default_factory=RunUsage)
    scripted: bool = False
    """A script answered at least one model call, so the output is not a model's work."""
    finished_at: datetime
    artifacts: list[ArtifactRecord] = []
    messages: list[JsonObject] = []
    """As `message.created` has them; with a `path` if they come from the inside of a member."""
