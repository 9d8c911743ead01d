"""The resources below `/v1/teams/{name}`: versions, differences, graphs and schemas."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict

from teamrun.components.definitions.base import LinkKind
from teamrun.core.tolerance import OPEN
from teamrun.json_types import JsonObject

__all__ = [
    "Change",
    "ChangeKind",
    "GraphEdge",
    "GraphNode",
    "TeamDiff",
    "TeamGraph",
    "TeamSchema",
    "TeamVersion",
    "VersionPage",
    "VersionSummary",
]


class _Resource(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class VersionSummary(_Resource):
    """A version of a team, without its definition."""

    version: str
    """The number of the version; of the operator's teams, the first 12 digits of `digest`."""
    digest: str
    """sha256 of the canonical definition, in hexadecimal."""
    aliases: list[str] = []
    """The aliases that point to it."""
    comment: str = ""
    created_at: datetime | None = None
    """Null for the operator's teams."""


class TeamVersion(VersionSummary):
    """A version of a team."""

    definition: JsonObject
    """The canonical definition, as runs pin it."""


class VersionPage(_Resource):
    """A page of versions, the newest first."""

    data: list[VersionSummary]
    next_cursor: str | None = None
    has_more: bool = False


ChangeKind = Literal["added", "removed", "changed"]


class Change(_Resource):
    """A difference between two definitions."""

    kind: Annotated[ChangeKind, OPEN]
    pointer: str
    """JSON pointer (RFC 6901) into the newer definition; of what was removed, into the older."""
    before: Any = None
    after: Any = None


class TeamDiff(_Resource):
    """What differs between two versions."""

    from_version: str
    to_version: str
    changes: list[Change]
    """Empty if the definitions are equal. Members, and others that have names, are compared by
    them."""


class GraphNode(_Resource):
    """An agent or a team."""

    id: str
    """The names on the way to it, joined by `/`."""
    name: str
    type: str
    parent: str | None = None
    """The node that it is inside of; null for the outermost team."""
    description: str | None = None
    models: list[str] = []
    tools: list[str] = []


class GraphEdge(_Resource):
    """Who may follow whom."""

    source: str
    target: str
    kind: Annotated[LinkKind, OPEN]
    """`next` in the order of the team, `starts` at the same time as the others with an edge of this
    kind, `selects` by a model, `assigns` by a member, `handoff` by the agent itself, `flow` by the
    graph, `tool` in a call. The source of `starts`, `selects` and `tool` is the parent of the
    target."""
    label: str | None = None
    """The condition of the edge, or the number of rounds."""


class TeamGraph(_Resource):
    """The agents and teams of a version, and who may follow whom."""

    version: str
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    mermaid: str
    """The same as a Mermaid flowchart."""


class TeamSchema(_Resource):
    """JSON Schemas (2020-12) of what goes into a run of a version, and what comes out."""

    version: str
    input: JsonObject
    """Of the field `input` of a run."""
    output: JsonObject
    """Of the field `output` of a result."""
    answers: dict[str, JsonObject]
    """Of the `data` of people's answers, by the name of the agent that asks."""
