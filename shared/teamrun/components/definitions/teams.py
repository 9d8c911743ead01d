"""The canonical form of a team: what a run pins, what `build` builds, what a digest is taken of.

The operator's file, inline definitions and AutoGen component JSON are all read into this form.
Models and tools are names that the operator registered; texts may hold `${NAME}` of the
operator's file, unexpanded, so no secret is ever part of a definition.
"""

from string import Formatter
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from teamrun.components.definitions.conditions import ConditionDefinition

__all__ = [
    "AgentDefinition",
    "AssistantDefinition",
    "ContextDefinition",
    "CustomDefinition",
    "HandoffDefinition",
    "ParticipantDefinition",
    "RoundRobinDefinition",
    "SelectorDefinition",
    "TeamDefinition",
    "UserProxyDefinition",
]

AgentName = Annotated[str, StringConstraints(pattern=r"^[^\W\d]\w{0,63}$")]
"""An identifier: models see it, and it is part of every call's id."""
TeamName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=128)]
MemberName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
ToolName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


def _is_plain_template(text: str) -> str:
    """A format specification or an attribute could ask for a gigabyte, or for what is not meant."""
    fields = [
        (name, spec, sign) for _, name, spec, sign in Formatter().parse(text) if name is not None
    ]
    if any(name not in _SUMMARY_FIELDS or spec or sign for name, spec, sign in fields):
        known = ", ".join(f"{{{name}}}" for name in _SUMMARY_FIELDS)
        raise ValueError(f"only {known} are filled in; a literal brace is written twice")
    return text


_SUMMARY_FIELDS: Final = ("tool_name", "arguments", "result", "is_error")
SummaryFormat = Annotated[str, AfterValidator(_is_plain_template)]


class _Part(BaseModel):
    # Deferred: building a validator for each class alone is time that every start would pay.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class HandoffDefinition(_Part):
    """A way for an agent to give the conversation to another one."""

    target: AgentName
    description: str | None = None
    name: AgentName | None = None
    message: str | None = None


class ContextDefinition(_Part):
    """Which part of the conversation an agent's model sees."""

    type: Literal["unbounded", "buffered", "head_and_tail", "token_limited"] = "unbounded"
    buffer_size: int | None = Field(default=None, ge=1)
    head_size: int | None = Field(default=None, ge=1)
    tail_size: int | None = Field(default=None, ge=1)
    token_limit: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _sizes_fit_the_type(self) -> Self:
        needed = _CONTEXT_SIZES[self.type]
        given = set(self.model_dump(exclude={"type"}, exclude_none=True))
        optional = {"token_limit"} if self.type == "token_limited" else set[str]()
        if not needed <= given <= needed | optional:
            wanted = " and ".join(sorted(needed | optional)) or "no size"
            raise ValueError(f"a context of type {self.type!r} takes {wanted}")
        return self


_CONTEXT_SIZES: dict[str, set[str]] = {
    "unbounded": set(),
    "buffered": {"buffer_size"},
    "head_and_tail": {"head_size", "tail_size"},
    "token_limited": set(),
}


class AssistantDefinition(_Part):
    """An agent that answers with a model and uses tools."""

    type: Literal["assistant_agent"] = "assistant_agent"
    name: AgentName
    model: ModelName
    """A model profile of the operator."""
    system_message: str | None = None
    """None is the class's own text; the empty text is no system message at all."""
    description: str | None = None
    tools: tuple[ToolName, ...] = ()
    handoffs: tuple[HandoffDefinition, ...] = ()
    reflect_on_tool_use: bool | None = None
    max_tool_iterations: int = Field(default=1, ge=1, le=1000)
    tool_call_summary_format: SummaryFormat | None = None
    tool_choice: Literal["auto", "required", "none"] | None = None
    model_client_stream: bool = False
    model_context: ContextDefinition | None = None
    metadata: dict[str, str] | None = None


class UserProxyDefinition(_Part):
    """A person who takes part: a run waits for the answer and holds no worker meanwhile."""

    type: Literal["user_proxy_agent"] = "user_proxy_agent"
    name: AgentName
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    """JSON Schema of the answer's `data`, whose JSON text is what the agent says then."""
    expires_in_seconds: float | None = Field(
        default=None, gt=0, le=366 * 24 * 3600, allow_inf_nan=False
    )
    """How long the run waits for each answer; None is for ever."""
    default_answer: Any = None
    """The answer where nobody gave one in time: a text, or data that fits `input_schema`."""


class CustomDefinition(_Part):
    """An agent of a class that the operator registered."""

    type: Literal["custom_agent"] = "custom_agent"
    name: AgentName
    agent: AgentName
    """The name under which the class is registered."""
    model: ModelName | None = None
    """A model profile, for a class that takes a model client."""
    description: str | None = None


AgentDefinition = Annotated[
    AssistantDefinition | UserProxyDefinition | CustomDefinition,
    Field(discriminator="type"),
]
"""One agent."""


class _Team(_Part):
    name: TeamName = "team"
    description: str | None = None
    participants: tuple["ParticipantDefinition", ...] = Field(min_length=1)
    termination: ConditionDefinition | None = None
    max_turns: int | None = Field(default=None, ge=1)
    emit_team_events: bool = False
    output: Annotated[tuple[MemberName, ...], Field(min_length=1)] | None = None
    """Agents, or teams in this one, whose last message is the output of a run; None: of all."""


class RoundRobinDefinition(_Team):
    """A team whose participants speak in turn."""

    type: Literal["round_robin_group_chat"] = "round_robin_group_chat"


class SelectorDefinition(_Team):
    """A team in which a model chooses who speaks next."""

    type: Literal["selector_group_chat"] = "selector_group_chat"
    model: ModelName
    """The profile of the model that chooses."""
    participants: tuple["ParticipantDefinition", ...] = Field(min_length=2)
    selector_prompt: str | None = None
    allow_repeated_speaker: bool = False
    max_selector_attempts: int = Field(default=3, ge=1, le=100)
    model_client_streaming: bool = False
    model_context: ContextDefinition | None = None

    @model_validator(mode="after")
    def _no_member_is_the_selector(self) -> Self:
        # `{team}/selector` is the path of the calls that choose the speaker.
        if any(member.name == "selector" for member in self.participants):
            raise ValueError("no member may be named 'selector'")
        return self


TeamDefinition = Annotated[
    RoundRobinDefinition | SelectorDefinition,
    Field(discriminator="type"),
]
"""A team."""

ParticipantDefinition = Annotated[
    AssistantDefinition
    | UserProxyDefinition
    | CustomDefinition
    | RoundRobinDefinition
    | SelectorDefinition,
    Field(discriminator="type"),
]
"""A member of a team: an agent, or another team."""
