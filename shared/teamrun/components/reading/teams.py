"""Teams as people write them, in the operator's file or a request, read into the canonical form."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from teamrun.components.definitions.base import ConditionDefinition
from teamrun.components.definitions.contexts import ContextDefinition
from teamrun.components.definitions.kinds import AGENTS, TEAMS
from teamrun.components.definitions.table import TeamKind, load
from teamrun.components.reading.agents import read_agent, read_context
from teamrun.components.reading.conditions import ConditionReader
from teamrun.components.reading.fields import Fields, as_list, as_object, construct, read_fields
from teamrun.components.reading.mentions import Mention, check_mentions
from teamrun.components.reading.problems import (
    Problems,
    did_you_mean,
    joined,
    listed,
    pointer,
    shown,
)
from teamrun.components.reading.scope import Member, Scope, UnreadDefinition
from teamrun.json_types import JsonMapping, JsonObject

__all__ = ["Opened", "TeamReader"]

_MAX_DEPTH: Final = 8

Json = JsonMapping


class Opened(NamedTuple):
    """A team whose kind is known and whose fields are not read yet."""

    kind: TeamKind
    source: JsonMapping
    where: str
    """The pointer to its fields."""
    known: Mapping[str, str]
    """The names that its fields have in this form, each with the field's own."""


class TeamReader:
    """Reads one document in our form; `autogen.reader` adds AutoGen's at the marked places."""

    def __init__(self, scope: Scope, problems: Problems) -> None:
        self.scope = scope
        self.problems = problems

    def team(
        self, raw: Any, where: str, *, name: str | None = None, depth: int = 0
    ) -> Member | None:
        """A team; None: a problem was added."""
        if depth >= _MAX_DEPTH:
            detail = f"Teams are nested more than {_MAX_DEPTH} levels deep."
            self.problems.add(where, "too_large", detail)
            return None
        opened = self.opened(raw, where)
        if opened is None:
            return None
        if opened.kind.read:
            read = load(opened.kind.read)
            return read(opened, self.scope, self.problems, name=name)
        return self._read(opened, name, depth)

    def opened(self, raw: Any, where: str) -> Opened | None:
        """A team whose kind is known; None: a problem was added. Another form replaces this."""
        source = as_object(raw, where, self.problems, what="a team")
        if source is None:
            return None
        usual = "custom_team" if "function" in source else None
        kind = self._kind(source.get("type", usual), pointer(where, "type"))
        return None if kind is None else Opened(kind, source, where, kind.fields)

    def member(self, raw: Any, where: str, depth: int) -> Member | None:
        """A member of a team; None: a problem was added. Another form replaces this."""
        if isinstance(raw, str):
            return self._named(raw, where)
        if isinstance(raw, Mapping) and TEAMS.named(cast("Json", raw).get("type")) is not None:
            return self.team(raw, where, depth=depth + 1)
        source = as_object(raw, where, self.problems, what="an agent or a team")
        if source is None:
            return None
        agent = read_agent(source, where, self.scope._replace(depth=depth), self.problems)
        return None if agent is None else Member(agent, where)

    def condition(
        self, raw: Any, where: str, reader: ConditionReader
    ) -> ConditionDefinition | None:
        """A condition; None: a problem was added. Another form replaces this."""
        return reader.read(raw, where)

    def context(self, raw: Any, where: str) -> ContextDefinition | None:
        """A model context; None: a problem was added. Another form replaces this."""
        return read_context(raw, where, self.problems)

    def model(self, raw: Any, where: str, spelled: str) -> Any:
        """The name of a model profile, checked. Another form replaces this.

        Args:
            raw: The value in the document.
            where: The pointer to it.
            spelled: The name of its field in the document.
        """
        self.scope.check_model(raw, where, self.problems)
        return raw

    def _read(self, opened: Opened, name: str | None, depth: int) -> Member | None:
        kind, source, where, known = opened
        before = len(self.problems.found)
        fields = read_fields(source, where, known, self.problems, what=f"a {kind.type}")
        values = {key: value for key, value in fields.values.items() if value is not None}
        values["type"] = kind.type
        if name is not None:
            values.setdefault("name", name)
        is_ours = "type" in known
        members = self._members(fields, depth, "agents" if is_ours else "participants")
        known_members = [member for member in members if member is not None]
        all_known = len(known_members) == len(members)
        for member in known_members:
            if member.definition.name == kind.manager_name:
                detail = (
                    f"No member of a {kind.type} may be named {kind.manager_name!r}: the state of"
                    " the team is saved under this name. Give it another name."
                )
                self.problems.add(pointer(member.where, "name"), "invalid_definition", detail)
        if all_known:
            values["participants"] = tuple(member.definition for member in known_members)
        else:  # not some of them, or others would seem not to exist
            values.pop("participants", None)
        of_members = ("participants",)
        mentions = self._put_termination(fields, values) + self._put_output(fields, values)
        lacking = self._put_model(kind, known, fields, values)
        self._put_context(fields, values)
        self._check_functions(fields)
        team = construct(
            kind.model,
            fields,
            values,
            self.problems,
            unknown=lacking if all_known else (*of_members, *lacking),
            checked=of_members if all_known else (),
        )
        if members and all_known:
            exported = "type" not in known
            check_mentions(known_members, mentions, self.problems, exported=exported)
        if team is None or len(self.problems.found) > before:
            return None
        return Member(team, where)

    def _members(self, fields: Fields, depth: int, usual: str) -> list[Member | None]:
        """The members; None for an invalid one. `usual` is the name of the field in this form."""
        where, name = fields.place("participants"), fields.spelled.get("participants", usual)
        raw = fields.values.get("participants")
        if raw is None:
            place = pointer(fields.where, name)
            self.problems.add(place, "invalid_definition", f"{name!r} is needed: a list of agents.")
            return [None]
        items = as_list(raw, where, self.problems, what=repr(name))
        if self.problems.is_in(where) and not items:
            return [None]
        members: list[Member | None] = []
        names: set[str] = set()
        for index, item in enumerate(items):
            place = pointer(where, index)
            member = self.member(item, place, depth) or _unread(item, place)
            name = None if member is None else member.definition.name
            if name in names:
                detail = f"Two members are named {name!r}; give one of them another name."
                self.problems.add(place, "invalid_definition", detail)
            names |= set() if name is None else {name}
            members.append(member)
        return members

    def _named(self, name: str, where: str) -> Member | None:
        if not self.scope.operator:
            detail = (
                "An agent or a team is written out here as an object; only the operator's file"
                " refers to one by its name."
            )
            self.problems.add(where, "invalid_definition", detail)
            return None
        if name not in self.scope.member_names:
            if self.problems.is_in(where) or {"agents", "teams"} & set(self.scope.unread):
                return None
            hint = did_you_mean(name, self.scope.member_names)
            detail = (
                f"There is no agent or team {shown(name)}.{hint} The file has"
                f" {listed(self.scope.member_names)}."
            )
            self.problems.add(where, "invalid_definition", detail)
            return None
        return self.scope.member(name)

    def _put_termination(self, fields: Fields, values: JsonObject) -> list[Mention]:
        """Store the condition under its source's name; returns the names that it mentions."""
        raw = values.pop("termination", None)
        if raw is None:
            return []
        reader = ConditionReader(self.scope, self.problems)
        where = fields.place("termination")
        values["termination"] = self.condition(raw, where, reader)
        return reader.mentions

    def _put_output(self, fields: Fields, values: JsonObject) -> list[Mention]:
        """Write one name as a list of one; the names that it mentions."""
        raw, where = values.pop("output", None), fields.place("output")
        if raw is None:
            return []
        if isinstance(raw, str):
            values["output"] = (raw,)
            return [Mention("speaker", raw, where)]
        names = as_list(raw, where, self.problems, what="'output'")
        if not names and not self.problems.is_in(where):
            self.problems.add(where, "invalid_definition", "'output' names at least one agent.")
        mentions: list[Mention] = []
        for index, name in enumerate(names):
            place = pointer(where, index)
            if isinstance(name, str):
                mentions.append(Mention("speaker", name, place))
            else:
                detail = f"'output' takes names of agents, not {shown(name)}."
                self.problems.add(place, "invalid_definition", detail)
        values["output"] = tuple(mention.name for mention in mentions)
        return mentions

    def _put_model(
        self, kind: TeamKind, known: Mapping[str, str], fields: Fields, values: JsonObject
    ) -> tuple[str, ...]:
        """Check the models; returns the field of the team's own if it is lacking."""
        where = fields.place("output_model")
        self.scope.check_model(values.get("output_model"), where, self.problems)
        raw, spelled = values.get("model"), fields.spelled.get("model", "model")
        model = self.model(raw, fields.place("model"), spelled)
        if model != raw:
            values["model"] = model
        field = kind.model.model_fields.get("model")
        if raw is not None or field is None or not field.is_required() or "model" in fields.meant:
            return ()
        if self.problems.is_in(fields.place("model")):  # it is written, as null
            return ()
        usual = fields.spelled.get("model", "model" if "type" in known else "model_client")
        self.scope.need_model(pointer(fields.where, usual), self.problems, name=usual)
        return ("model",)

    def _put_context(self, fields: Fields, values: JsonObject) -> None:
        raw = values.get("model_context")
        if raw is not None:
            values["model_context"] = self.context(raw, fields.place("model_context"))

    def _check_functions(self, fields: Fields) -> None:
        for field in ("selector_func", "candidate_func"):
            name = fields.values.get(field)
            self.scope.check_function(name, fields.place(field), self.problems)
        if (graph := fields.values.get("graph")) is not None:
            # Imported late: few teams have a graph.
            from teamrun.components.reading.graphs import check_edges

            check_edges(graph, fields.place("graph"), self.scope, self.problems)

    def _kind(self, written: Any, where: str) -> TeamKind | None:
        kind = TEAMS.named(written)
        if kind is not None:
            return kind
        if written is None:
            detail = f"'type' is needed: {joined(TEAMS.types, 'or')}."
            self.problems.add(where, "invalid_definition", detail)
        else:
            name = written if isinstance(written, str) else ""
            hint = did_you_mean(name, [*TEAMS.names, *AGENTS.names])
            detail = (
                f"'type': no team type {shown(written)}.{hint} There are {joined(TEAMS.types)}."
            )
            self.problems.add(where, "invalid_definition", detail)
        return None


_COMPOSED: Final = frozenset({"agents", "participants", "team", "wrapped_agent", "agent", "tools"})


def _unread(raw: Any, where: str) -> Member | None:
    """What is known of a member with a problem; None: not even its name."""
    if not isinstance(raw, Mapping):
        return None
    source = cast("Json", raw)
    config = source.get("config") if "provider" in source else source
    if not isinstance(config, Mapping):
        return None
    fields = cast("Json", config)
    name = fields.get("name")
    if not isinstance(name, str):
        return None
    has_members = not _COMPOSED.isdisjoint(fields)
    return Member(UnreadDefinition(name=name, has_members=has_members), where)
