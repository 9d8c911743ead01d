"""The form of the tables in `kinds`: what a row consists of, and how rows are found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Final, Generic, Literal, TypeVar

from teamrun.components.definitions.base import (
    BaseAgentDefinition,
    BaseConditionDefinition,
    BaseTeamDefinition,
    Part,
)

__all__ = [
    "AgentKind",
    "ConditionKind",
    "Kind",
    "KindT",
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
