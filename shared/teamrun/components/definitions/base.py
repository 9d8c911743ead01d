"""Base classes of definitions, and the unions formed from the rows of `kinds`.

For a type checker, `TeamDefinition` and its siblings are base classes; for pydantic, they are the
discriminated unions of all kinds in the tables. So a new kind needs no change here.
"""

from collections.abc import Mapping
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NamedTuple, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from teamrun.json_types import JsonObject
from teamrun.models.scalars import Count, Switch

__all__ = [
    "NAME_RULES",
    "AgentDefinition",
    "AgentName",
    "BaseAgentDefinition",
    "BaseConditionDefinition",
    "BaseDelegateDefinition",
    "BaseParticipantDefinition",
    "BaseTeamDefinition",
    "ConditionDefinition",
    "DelegateDefinition",
    "FunctionName",
    "Link",
    "LinkKind",
    "MemberName",
    "ModelName",
    "Part",
    "ParticipantDefinition",
    "Repairs",
    "SummaryFormat",
    "TeamDefinition",
    "TeamName",
    "ToolName",
    "Uses",
]

# Their length is a separate constraint: `\w{0,63}` took a tenth of the start of an engine.
_AGENT: Final = r"^[^\W\d]\w*$"
_TEAM: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
_TOOL: Final = r"^[A-Za-z0-9_-]+$"
_LONGEST_NAME: Final = 64
NAME_RULES: Final[Mapping[str, str]] = {
    _AGENT: "use letters, digits and '_', at most 64 of them, and begin with no digit",
    _TEAM: "use A-Z, a-z, digits, '_' and '-', at most 64 of them, and begin with no sign",
    _TOOL: "use A-Z, a-z, digits, '_' and '-', at most 64 of them",
}
"""What each pattern of names requires, in words."""

AgentName = Annotated[str, StringConstraints(pattern=_AGENT, max_length=_LONGEST_NAME)]
"""An identifier: models see it, and it is part of every call's id."""
TeamName = Annotated[str, StringConstraints(pattern=_TEAM, max_length=_LONGEST_NAME)]
FunctionName = Annotated[str, StringConstraints(pattern=_TEAM, max_length=_LONGEST_NAME)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=128)]
MemberName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Repairs = Annotated[int, Field(ge=0, le=10, strict=True)]
Line = Annotated[str, StringConstraints(min_length=1)]
ToolName = Annotated[str, StringConstraints(pattern=_TOOL, max_length=_LONGEST_NAME)]


def _is_plain_template(text: str) -> str:
    """Refuses format specifications, which can produce gigabytes, and access to attributes."""
    fields = [
        (name, spec, sign) for _, name, spec, sign in Formatter().parse(text) if name is not None
    ]
    if any(name not in _SUMMARY_FIELDS or spec or sign for name, spec, sign in fields):
        known = ", ".join(f"{{{name}}}" for name in _SUMMARY_FIELDS)
        raise ValueError(f"only {known} are filled in; a literal brace is written twice")
    return text


_SUMMARY_FIELDS: Final = ("tool_name", "arguments", "result", "is_error")
SummaryFormat = Annotated[str, AfterValidator(_is_plain_template)]


class Part(BaseModel):
    """A part of a definition."""

    # Deferred: building a validator for each class alone is time that every start would pay.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    not_written: ClassVar[frozenset[str]] = frozenset()
    """Fields of a base class that documents cannot give for this kind."""


class Uses(NamedTuple):
    """The names that a part uses, without those of the parts inside of it."""

    models: tuple[str, ...] = ()
    """Model profiles."""
    tools: tuple[str, ...] = ()
    """Registered tools."""
    agents: tuple[str, ...] = ()
    """Registered classes of agents."""
    functions: tuple[str, ...] = ()
    """Registered functions."""


LinkKind = Literal["next", "starts", "selects", "assigns", "handoff", "flow", "tool"]
"""`next` in the order of the team, `starts` at the same time as the others that have such a link,
`selects` by a model, `assigns` by a member, `handoff` by the agent itself, `flow` by the graph,
`tool` in a call."""


class Link(NamedTuple):
    """An agent or a team inside of another one, and who may speak before it."""

    kind: LinkKind
    source: str | None
    """The member that speaks before; None: what it is inside of lets the target speak."""
    target: str
    label: str | None = None
    """When the target speaks."""


class BaseConditionDefinition(Part):
    """A termination condition of any kind."""

    if TYPE_CHECKING:  # each kind has the field itself; a `str` could not be narrowed to a Literal
        type: Any

    @property
    def functions(self) -> tuple[str, ...]:
        """The registered functions that it names, with those of the conditions inside of it."""
        return ()


class _OneOf:
    """Stands for the union of all kinds of some tables.

    The kind of a part is looked up when it is validated. So only the definitions of the kinds that
    are used are imported and get a validator: the union itself would need those of all.
    """

    def __init__(self, *tables: Literal["AGENTS", "TEAMS", "CONDITIONS", "DELEGATES"]) -> None:
        self._tables = tables

    def __get_pydantic_core_schema__(
        self, source: type[Part], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def validated(value: object) -> Part:
            return value if isinstance(value, source) else self._read(value)

        return core_schema.no_info_plain_validator_function(
            validated, serialization=core_schema.simple_ser_schema("any")
        )

    def _read(self, value: object) -> Part:
        from teamrun.components.definitions import kinds

        if not isinstance(value, dict):
            raise PydanticKnownError("dict_type")
        tables = [getattr(kinds, name) for name in self._tables]
        written = cast("JsonObject", value).get("type")
        for table in tables:
            if written in table:
                return table[written].model.model_validate(value)
        known = ", ".join(repr(type) for table in tables for type in table.types)
        raise PydanticKnownError(
            "union_tag_invalid",
            {"discriminator": "'type'", "tag": str(written), "expected_tags": known},
        )


class BaseParticipantDefinition(Part):
    """A member of a team: an agent, or another team.

    A kind that calls a model names its profile in the field `model`.
    """

    if TYPE_CHECKING:  # each kind has the fields itself, in its own order; `type` is a Literal
        type: Any
        name: str
        description: str | None

    inner_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that hold agents and teams inside of it."""

    @property
    def uses(self) -> Uses:
        """The models, tools and custom agents that it names."""
        return Uses()

    @property
    def inner(self) -> "tuple[BaseParticipantDefinition, ...]":
        """The agents and teams inside of it."""
        found: list[BaseParticipantDefinition] = []
        for name in self.inner_fields:
            value: Any = getattr(self, name)
            several = cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,)
            found.extend(several)
        return tuple(found)

    @property
    def inner_names(self) -> tuple[str, ...]:
        """The names by which it refers to those inside of it, in the order of `inner`."""
        return tuple(part.name for part in self.inner)

    @property
    def links(self) -> tuple[Link, ...]:
        """Who may speak after whom inside of it, as far as the definition says."""
        return ()

    @property
    def voices(self) -> "tuple[BaseParticipantDefinition, ...]":
        """The agents whose names its messages have as their source."""
        return (self,)

    @property
    def has_unseen_agents(self) -> bool:
        """Whether it has agents that only the operator's code knows."""
        return False

    @property
    def is_instructed(self) -> bool:
        """Whether it has a model and a system message for it."""
        return "system_message" in type(self).model_fields and bool(self.uses.models)


class BaseAgentDefinition(BaseParticipantDefinition):
    """An agent of any kind."""

    @property
    def hands_off(self) -> bool:
        """Whether it may hand over to another agent."""
        return True

    @property
    def handoff_targets(self) -> tuple[str, ...]:
        """The agents to which it may hand over, as far as the definition names them."""
        return ()


class BaseDelegateDefinition(Part):
    """An agent or a team as a tool of an agent."""

    if TYPE_CHECKING:  # each kind has the field itself; `type` is a Literal
        type: Any

    return_value_as_last_message: Switch = False
    """Whether the result is the last message alone, instead of all with their sources."""
    approval: Switch | None = None
    """Whether a person has to approve each call of it."""

    inner_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that hold agents and teams inside of it."""

    @property
    def tool_name(self) -> str:
        """The name of the tool."""
        raise NotImplementedError

    @property
    def runner(self) -> "BaseParticipantDefinition":
        """The agent or the team."""
        raise NotImplementedError


ConditionDefinition = Annotated[BaseConditionDefinition, _OneOf("CONDITIONS")]
"""When a team stops."""

DelegateDefinition = Annotated[BaseDelegateDefinition, _OneOf("DELEGATES")]
"""An agent or a team as a tool."""

AgentDefinition = Annotated[BaseAgentDefinition, _OneOf("AGENTS")]
"""One agent."""

ParticipantDefinition = Annotated[BaseParticipantDefinition, _OneOf("AGENTS", "TEAMS")]
"""A member of a team: an agent, or another team."""


class BaseTeamDefinition(BaseParticipantDefinition):
    """A team of any kind."""

    name: TeamName = "team"
    description: str | None = None
    participants: tuple[ParticipantDefinition, ...] = Field(min_length=1)
    termination: ConditionDefinition | None = None
    max_turns: Count | None = None
    emit_team_events: Switch = False
    output: Annotated[tuple[MemberName, ...], Field(min_length=1)] | None = None
    """Agents, or teams in this one, whose last message is the output of a run; None: of all."""
    output_model: ModelName | None = None
    """The profile of the model that brings the output into the `output_schema` of a run of this
    team; None: that of the agent that spoke last."""
    output_repairs: Repairs | None = None
    """How often that model may correct an answer that does not fit; None: twice."""
    shared_memory: Switch | None = None
    """Whether the assistants have tools for keys and values that they share; None: no."""
    objectives: tuple[Line, ...] | None = None
    """What the team is to achieve; part of the system messages of its agents."""
    constraints: tuple[Line, ...] | None = None
    """What each answer has to satisfy; part of the system messages, too."""

    inner_fields: ClassVar[tuple[str, ...]] = ("participants",)
    ends_itself: ClassVar[bool] = True
    """Whether a team of this kind ends without a condition and without a limit of turns."""

    @field_validator("objectives", "constraints")
    @classmethod
    def _someone_reads_them(
        cls, lines: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        members: tuple[BaseParticipantDefinition, ...] = info.data.get("participants", ())
        voices = [voice for member in members for voice in member.voices]
        if lines and members and not any(voice.is_instructed for voice in voices):
            raise ValueError(
                "is for agents with a model and a system message, of which the team has none;"
                " write it into the task"
            )
        return lines

    @property
    def names(self) -> list[str]:
        """The names of its participants."""
        return [member.name for member in self.participants]

    @property
    def silent(self) -> list[str]:
        """The names of those of its participants that never speak."""
        return []

    @property
    def voices(self) -> tuple[BaseParticipantDefinition, ...]:
        """Those of its participants."""
        return tuple(voice for member in self.participants for voice in member.voices)


TeamDefinition = Annotated[BaseTeamDefinition, _OneOf("TEAMS")]
"""A team."""
