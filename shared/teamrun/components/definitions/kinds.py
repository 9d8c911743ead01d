"""The tables of agents, teams and conditions: a new kind is one row here and one module.

The unions of `base`, the names accepted in documents, the providers of AutoGen component JSON and
the builders are derived from the rows. A row names its functions as `module:name`; they are
imported at first use, so a process that only accepts runs imports no agents.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Final, Generic, Literal, TypeVar

from teamrun.components.definitions.agents import (
    AssistantDefinition,
    CustomDefinition,
    UserProxyDefinition,
)
from teamrun.components.definitions.base import (
    BaseAgentDefinition,
    BaseConditionDefinition,
    BaseTeamDefinition,
    Part,
)
from teamrun.components.definitions.conditions import (
    AndDefinition,
    ExternalDefinition,
    FunctionCallDefinition,
    HandoffTerminationDefinition,
    MaxMessagesDefinition,
    OrDefinition,
    SourceMatchDefinition,
    StopMessageDefinition,
    TextMentionDefinition,
    TextMessageDefinition,
    TimeoutDefinition,
    TokenUsageDefinition,
)
from teamrun.components.definitions.teams import RoundRobinDefinition, SelectorDefinition

__all__ = [
    "AGENTS",
    "CONDITIONS",
    "TEAMS",
    "AgentKind",
    "ConditionKind",
    "Kind",
    "MentionKind",
    "Table",
    "TeamKind",
    "load",
]

MentionKind = Literal["source", "target", "function", "speaker"]
"""The kind of object that a name in a condition or in a team's `output` refers to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of agent, team or condition."""

    model: type[Part]
    """Its definition; the default of the field `type` is the name of the kind."""
    build: str
    """The function that builds it: `module:function`."""
    autogen: str | None = None
    """Its provider in AutoGen component JSON."""
    version: int = 1
    """The highest version of that component that can be read."""
    names: tuple[str, ...] = ()
    """Other names of the kind in documents."""
    aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    """Other names of its fields in documents, each with the field's own."""

    @property
    def type(self) -> str:
        """The name of the kind in the canonical form."""
        return self.model.model_fields["type"].default

    @property
    def fields(self) -> dict[str, str]:
        """Every name that a field has in documents, with the field's own."""
        return {**{name: name for name in self.model.model_fields}, **self.aliases}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentKind(Kind):
    """One kind of agent."""

    model: type[BaseAgentDefinition]
    read: str
    """The function that reads it in the form that people write: `module:function`."""
    read_component: str | None = None
    """The function that reads its configuration in AutoGen component JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamKind(Kind):
    """One kind of team. All are read alike: a field means the same in each of them."""

    model: type[BaseTeamDefinition]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionKind(Kind):
    """One kind of condition; `build` is a class, called with the fields of the definition.

    One with the field `conditions` combines others, and its class is called with these.
    """

    model: type[BaseConditionDefinition]
    mentions: Mapping[str, MentionKind] = field(default_factory=dict[str, MentionKind])
    """The fields that name something of the team."""

    @property
    def is_combined(self) -> bool:
        """Whether it consists of other conditions."""
        return "conditions" in self.model.model_fields


KindT = TypeVar("KindT", bound=Kind)


class Table(Generic[KindT]):
    """The kinds of one axis.

    `planned` are names of kinds that are known, but not available in this release.
    """

    def __init__(self, *rows: KindT, planned: Sequence[str] = ()) -> None:
        self._rows = rows
        self.planned: Final = frozenset(planned)
        self.types: Final = tuple(row.type for row in rows)
        """The name of each kind in the canonical form."""
        self._by_name = {name: row for row in rows for name in (row.type, *row.names)}
        self.by_model: Final = {row.model: row for row in rows}
        self.by_provider: Final = {row.autogen: row for row in rows if row.autogen is not None}
        """The kinds that AutoGen component JSON can have, by provider."""

    def __iter__(self) -> Iterator[KindT]:
        return iter(self._rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a document may give as a type."""
        return tuple(self._by_name)

    def named(self, written: object) -> KindT | None:
        """The kind that a document names, if there is one."""
        return self._by_name.get(written) if isinstance(written, str) else None

    def of(self, part: Part) -> KindT:
        """The kind of a definition."""
        return self.by_model[type(part)]


@cache
def load(name: str) -> Any:
    """The object that `module:name` of a row refers to. Never call it with names from input."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


_READING: Final = "teamrun.components.reading"
_AUTOGEN: Final = "teamrun.components.autogen"
_BUILDING: Final = "teamrun.components.building"

AGENTS: Final = Table(
    AgentKind(
        model=AssistantDefinition,
        names=("AssistantAgent",),
        aliases={"max_tool_use_attempts": "max_tool_iterations"},
        read=f"{_READING}.agents:read_assistant",
        build=f"{_BUILDING}.agents:build_assistant",
        autogen="autogen_agentchat.agents.AssistantAgent",
        version=2,
        read_component=f"{_AUTOGEN}.agents:read_assistant",
    ),
    AgentKind(
        model=UserProxyDefinition,
        names=("UserProxyAgent",),
        read=f"{_READING}.agents:read_user_proxy",
        build=f"{_BUILDING}.agents:build_user_proxy",
        autogen="autogen_agentchat.agents.UserProxyAgent",
        read_component=f"{_AUTOGEN}.agents:read_user_proxy",
    ),
    AgentKind(
        model=CustomDefinition,
        read=f"{_READING}.agents:read_custom",
        build=f"{_BUILDING}.agents:build_custom",
    ),
    planned=(
        "code_executor_agent",
        "society_of_mind_agent",
        "message_filter_agent",
        "CodeExecutorAgent",
        "SocietyOfMindAgent",
        "MessageFilterAgent",
    ),
)

_TEAM_ALIASES: Final = {
    "agents": "participants",
    "termination_condition": "termination",
    "max_rounds": "max_turns",
}

TEAMS: Final = Table(
    TeamKind(
        model=RoundRobinDefinition,
        names=("RoundRobinGroupChat",),
        aliases=_TEAM_ALIASES,
        build=f"{_BUILDING}.teams:build_round_robin",
        autogen="autogen_agentchat.teams.RoundRobinGroupChat",
    ),
    TeamKind(
        model=SelectorDefinition,
        names=("SelectorGroupChat",),
        aliases=_TEAM_ALIASES
        | {"model_for_selection": "model", "system_message": "selector_prompt"},
        build=f"{_BUILDING}.teams:build_selector",
        autogen="autogen_agentchat.teams.SelectorGroupChat",
    ),
    planned=(
        "swarm",
        "graph_flow",
        "magentic_one",
        "sequential",
        "concurrent",
        "hierarchical",
        "debate",
        "competitive",
    ),
)


def _condition(
    model: type[BaseConditionDefinition],
    name: str,
    *,
    names: tuple[str, ...] = (),
    aliases: Mapping[str, str] | None = None,
    mentions: Mapping[str, MentionKind] | None = None,
    package: str = "conditions",
) -> ConditionKind:
    """A row whose class has the same name here and in AutoGen."""
    return ConditionKind(
        model=model,
        build=f"teamrun.conditions:{name}",
        autogen=f"autogen_agentchat.{package}.{name}",
        names=names,
        aliases=aliases or {},
        mentions=mentions or {},
    )


CONDITIONS: Final = Table(
    _condition(TextMentionDefinition, "TextMentionTermination", mentions={"sources": "source"}),
    _condition(MaxMessagesDefinition, "MaxMessageTermination"),
    _condition(StopMessageDefinition, "StopMessageTermination"),
    _condition(TokenUsageDefinition, "TokenUsageTermination"),
    _condition(HandoffTerminationDefinition, "HandoffTermination", mentions={"target": "target"}),
    _condition(
        TimeoutDefinition,
        "TimeoutTermination",
        aliases={"seconds": "timeout_seconds", "timeout": "timeout_seconds"},
    ),
    _condition(ExternalDefinition, "ExternalTermination"),
    _condition(SourceMatchDefinition, "SourceMatchTermination", mentions={"sources": "source"}),
    _condition(TextMessageDefinition, "TextMessageTermination", mentions={"source": "source"}),
    _condition(
        FunctionCallDefinition,
        "FunctionCallTermination",
        mentions={"function_name": "function"},
    ),
    _condition(OrDefinition, "OrTerminationCondition", names=("any",), package="base"),
    _condition(AndDefinition, "AndTerminationCondition", names=("all",), package="base"),
)
