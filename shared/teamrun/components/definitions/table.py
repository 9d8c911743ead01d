"""The form of the tables in `kinds`: what a row consists of, and how rows are found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Generic, Literal, NamedTuple, TypeVar

from teamrun.components.definitions.base import (
    BaseAgentDefinition,
    BaseConditionDefinition,
    BaseDelegateDefinition,
    BaseTeamDefinition,
    Part,
)
from teamrun.core.component.table import load

__all__ = [
    "AgentKind",
    "ConditionKind",
    "DelegateKind",
    "Kind",
    "MentionKind",
    "PartT",
    "Table",
    "TeamKind",
    "load",
]

MentionKind = Literal["source", "target", "function", "speaker"]
"""The kind of object that a name in a condition or in a team's `output` refers to."""

_NONE: Final[Mapping[str, str]] = {}
_NO_MENTIONS: Final[Mapping[str, MentionKind]] = {}


PartT = TypeVar("PartT", bound=Part, covariant=True)
PartClass = type[PartT]
"""The class of a definition."""


class Kind(NamedTuple, Generic[PartT]):
    """One kind of agent, team, condition, or agent or team as a tool."""

    type: str
    """Its name in the canonical form, the default of the definition's field `type`."""
    definition: str
    """The class of its definition: `module:class`."""
    build: str
    """The function that builds it: `module:function`; of a condition its class, which is called
    with the fields of the definition."""
    autogen: str | None = None
    """Its provider in AutoGen component JSON."""
    version: int = 1
    """The highest version of that component that can be read."""
    names: Sequence[str] = ()
    """Other names of the kind in documents."""
    aliases: Mapping[str, str] = _NONE
    """Other names of its fields in documents, each with the field's own."""
    read: str = ""
    """Of an agent: the function that reads it in the form that people write. All teams with
    members are read alike, and so are conditions: a field means the same in each of them."""
    read_component: str | None = None
    """Of an agent: the function that reads its configuration in AutoGen component JSON."""
    mentions: Mapping[str, MentionKind] = _NO_MENTIONS
    """Of a condition: the fields that name something of the team."""
    manager: str = ""
    """Of a team: the name under which its state is saved, beside the states of its members; by
    default that of its class and `Manager`."""

    @property
    def model(self) -> PartClass[PartT]:
        """The class of its definition, imported at first use."""
        return load(self.definition)

    @property
    def fields(self) -> dict[str, str]:
        """Every name that a field has in documents, with the field's own."""
        model = self.model
        own = {name: name for name in model.model_fields if name not in model.not_written}
        return {**own, **self.aliases}

    @property
    def manager_name(self) -> str:
        """Of a team: the name under which its state is saved; no member may have it."""
        return self.manager or f"{self.names[0]}Manager"

    @property
    def is_combined(self) -> bool:
        """Whether it consists of other conditions, with which its class is called."""
        return "conditions" in self.model.model_fields


AgentKind = Kind[BaseAgentDefinition]
TeamKind = Kind[BaseTeamDefinition]
ConditionKind = Kind[BaseConditionDefinition]
DelegateKind = Kind[BaseDelegateDefinition]


class Table(Generic[PartT]):
    """The kinds of one axis.

    `planned` are names of kinds that are known, but not available in this release.
    """

    def __init__(self, *rows: Kind[PartT], planned: Sequence[str] = ()) -> None:
        self._rows = rows
        self.planned: Final = frozenset(planned)
        self.types: Final = tuple(row.type for row in rows)
        """The name of each kind in the canonical form."""
        self._by_name = {name: row for row in rows for name in (row.type, *row.names)}
        self._by_type = {row.type: row for row in rows}
        self.by_provider: Final = {row.autogen: row for row in rows if row.autogen is not None}
        """The kinds that AutoGen component JSON can have, by provider."""

    def __iter__(self) -> Iterator[Kind[PartT]]:
        return iter(self._rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a document may give as a type."""
        return tuple(self._by_name)

    def named(self, written: object) -> Kind[PartT] | None:
        """The kind that a document names, if there is one."""
        return self._by_name.get(written) if isinstance(written, str) else None

    def __getitem__(self, type: str) -> Kind[PartT]:
        return self._by_type[type]

    def __contains__(self, type: object) -> bool:
        return isinstance(type, str) and type in self._by_type
