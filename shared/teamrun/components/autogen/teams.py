"""Teams as people write them, in the operator's file or a request, read into the canonical form."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from teamrun.components.autogen.agents import (
    read_component_agent,
    read_component_condition,
    read_component_context,
)
from teamrun.components.autogen.components import is_component, model_profile, unwrap
from teamrun.components.autogen.providers import KINDS
from teamrun.components.definitions.teams import RoundRobinDefinition, SelectorDefinition
from teamrun.components.reading.agents import AGENT_TYPES, read_agent, read_context
from teamrun.components.reading.conditions import ConditionReader
from teamrun.components.reading.fields import Fields, as_list, as_object, construct, read_fields
from teamrun.components.reading.mentions import Mention, check_mentions
from teamrun.components.reading.problems import Problems, did_you_mean, listed, pointer, shown
from teamrun.components.reading.scope import Member, Scope

__all__ = ["TeamReader"]

_MAX_DEPTH: Final = 8

_TYPES: Final[Mapping[str, str]] = {
    "round_robin_group_chat": "round_robin_group_chat",
    "RoundRobinGroupChat": "round_robin_group_chat",
    "selector_group_chat": "selector_group_chat",
    "SelectorGroupChat": "selector_group_chat",
}
_LATER: Final = frozenset(
    {
        "swarm",
        "graph_flow",
        "magentic_one",
        "sequential",
        "concurrent",
        "hierarchical",
        "debate",
        "competitive",
    }
)
_COMMON: Final[Mapping[str, str]] = {
    "type": "type",
    "name": "name",
    "description": "description",
    "participants": "participants",
    "agents": "participants",
    "termination": "termination",
    "termination_condition": "termination",
    "max_turns": "max_turns",
    "max_rounds": "max_turns",
    "emit_team_events": "emit_team_events",
    "output": "output",
}
_SELECTOR: Final[Mapping[str, str]] = {
    **_COMMON,
    "model": "model",
    "model_for_selection": "model",
    "selector_prompt": "selector_prompt",
    "system_message": "selector_prompt",
    "allow_repeated_speaker": "allow_repeated_speaker",
    "max_selector_attempts": "max_selector_attempts",
    "model_client_streaming": "model_client_streaming",
    "model_context": "model_context",
}
_KNOWN: Final = {"round_robin_group_chat": _COMMON, "selector_group_chat": _SELECTOR}
_MODELS: Final[Mapping[str, type[RoundRobinDefinition] | type[SelectorDefinition]]] = {
    "round_robin_group_chat": RoundRobinDefinition,
    "selector_group_chat": SelectorDefinition,
}


class TeamReader:
    """Reads one document."""

    def __init__(self, scope: Scope, problems: Problems) -> None:
        self._scope = scope
        self._problems = problems

    def team(
        self, raw: Any, where: str, *, name: str | None = None, depth: int = 0
    ) -> Member | None:
        """A team, in our form or as component JSON; None: a problem was noted."""
        if depth >= _MAX_DEPTH:
            detail = f"Teams are nested more than {_MAX_DEPTH} levels deep."
            self._problems.add(where, "too_large", detail)
            return None
        if is_component(raw):
            component = unwrap(raw, where, "team", self._problems)
            if component is None:
                return None
            known = {**_KNOWN[component.type], "model_client": "model"}
            known = {key: known[key] for key in known if key not in ("type", "system_message")}
            return self._read(component.type, component.config, component.where, known, name, depth)
        source = as_object(raw, where, self._problems, what="a team")
        kind = None if source is None else self._type(source.get("type"), pointer(where, "type"))
        if source is None or kind is None:
            return None
        return self._read(kind, source, where, _KNOWN[kind], name, depth)

    def _read(
        self,
        kind: str,
        source: Mapping[str, Any],
        where: str,
        known: Mapping[str, str],
        name: str | None,
        depth: int,
    ) -> Member | None:
        before = len(self._problems.found)
        fields = read_fields(source, where, known, self._problems, what=f"a {kind}")
        values = {key: value for key, value in fields.values.items() if value is not None}
        values["type"] = kind
        if name is not None:
            values.setdefault("name", name)
        members = self._members(fields, depth)
        known_members = [member for member in members if member is not None]
        values["participants"] = tuple(member.definition for member in known_members)
        unknown = () if len(known_members) == len(members) else ("participants",)
        mentions = self._put_termination(fields, values) + self._put_output(fields, values)
        self._put_model(fields, values)
        self._put_context(fields, values)
        team = construct(_MODELS[kind], fields, values, self._problems, unknown=unknown)
        if not unknown:
            check_mentions(known_members, mentions, self._problems)
        if team is None or len(self._problems.found) > before:
            return None
        return Member(team, where)

    def _members(self, fields: Fields, depth: int) -> list[Member | None]:
        """The members; None stands for one that has a fault."""
        where = fields.place("participants")
        raw = fields.values.get("participants")
        if raw is None:
            self._problems.add(
                pointer(fields.where, "agents"), "invalid_definition", "'agents' is needed."
            )
            return [None]
        members: list[Member | None] = []
        for index, item in enumerate(as_list(raw, where, self._problems, what="'agents'")):
            place = pointer(where, index)
            member = self._member(item, place, depth)
            if member is not None and member.definition.name in _names(members):
                detail = f"Two members are named {member.definition.name!r}; names are unique."
                self._problems.add(place, "invalid_definition", detail)
            members.append(member)
        return members

    def _member(self, raw: Any, where: str, depth: int) -> Member | None:
        if isinstance(raw, str):
            return self._named(raw, where)
        if is_component(raw):
            if str(raw["provider"]) in KINDS["team"]:
                return self.team(raw, where, depth=depth + 1)
            return read_component_agent(raw, where, self._scope, self._problems)
        if isinstance(raw, Mapping) and str(cast("Mapping[str, Any]", raw).get("type")) in _TYPES:
            return self.team(raw, where, depth=depth + 1)
        agent = read_agent(raw, where, self._scope, self._problems)
        return None if agent is None else Member(agent, where)

    def _named(self, name: str, where: str) -> Member | None:
        if not self._scope.operator:
            detail = "An agent is written out here as an object with 'name' and 'model'."
            self._problems.add(where, "invalid_definition", detail)
            return None
        if name not in self._scope.member_names:
            hint = did_you_mean(name, self._scope.member_names)
            detail = (
                f"There is no agent or team {shown(name)}.{hint} The file has"
                f" {listed(self._scope.member_names)}."
            )
            self._problems.add(where, "invalid_definition", detail)
            return None
        return self._scope.member(name)

    def _put_termination(self, fields: Fields, values: dict[str, Any]) -> list[Mention]:
        """Put the condition where its source is; the names that it mentions."""
        raw = values.pop("termination", None)
        if raw is None:
            return []
        reader = ConditionReader(self._problems)
        where = fields.place("termination")
        if is_component(raw):
            values["termination"] = read_component_condition(raw, where, reader, self._problems)
        else:
            values["termination"] = reader.read(raw, where)
        return reader.mentions

    def _put_output(self, fields: Fields, values: dict[str, Any]) -> list[Mention]:
        """Write one name as a list of one; the names that it mentions."""
        raw, where = values.pop("output", None), fields.place("output")
        if raw is None:
            return []
        if isinstance(raw, str):
            values["output"] = (raw,)
            return [Mention("speaker", raw, where)]
        names = as_list(raw, where, self._problems, what="'output'")
        if not names and not self._problems.is_in(where):
            self._problems.add(where, "invalid_definition", "'output' names at least one agent.")
        mentions: list[Mention] = []
        for index, name in enumerate(names):
            place = pointer(where, index)
            if isinstance(name, str):
                mentions.append(Mention("speaker", name, place))
            else:
                detail = f"'output' takes names of agents, not {shown(name)}."
                self._problems.add(place, "invalid_definition", detail)
        values["output"] = tuple(mention.name for mention in mentions)
        return mentions

    def _put_model(self, fields: Fields, values: dict[str, Any]) -> None:
        raw = values.get("model")
        where = fields.place("model")
        if fields.spelled.get("model") == "model_client":
            values["model"] = model_profile(raw, where, self._scope, self._problems)
        else:
            self._scope.check_model(raw, where, self._problems)

    def _put_context(self, fields: Fields, values: dict[str, Any]) -> None:
        raw = values.get("model_context")
        where = fields.place("model_context")
        if is_component(raw):
            values["model_context"] = read_component_context(raw, where, self._problems)
        elif raw is not None:
            values["model_context"] = read_context(raw, where, self._problems)

    def _type(self, written: Any, where: str) -> str | None:
        kind = written if isinstance(written, str) else ""
        if kind in _TYPES:
            return _TYPES[kind]
        if written is None:
            detail = "'type' is needed: 'round_robin_group_chat' or 'selector_group_chat'."
            self._problems.add(where, "invalid_definition", detail)
        elif kind in _LATER:
            detail = (
                f"'type': {kind!r} is not available yet; there are 'round_robin_group_chat' and"
                " 'selector_group_chat'."
            )
            self._problems.add(where, "not_available_yet", detail)
        else:
            hint = did_you_mean(kind, [*_TYPES, *_LATER, *AGENT_TYPES])
            detail = (
                f"'type': no team type {shown(written)}.{hint} There are 'round_robin_group_chat'"
                " and 'selector_group_chat'."
            )
            self._problems.add(where, "invalid_definition", detail)
        return None


def _names(members: Sequence[Member | None]) -> set[str]:
    return {member.definition.name for member in members if member is not None}
