"""`teamrun.yaml`, the operator's file: models, tools, roles, agents and teams of a service."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from teamrun.components.autogen.reader import DefinitionReader
from teamrun.components.building.code_table import FunctionTable
from teamrun.components.building.custom_agents import CustomAgentTable
from teamrun.components.building.models import Profiles
from teamrun.components.building.tools import ToolTable, entry_point_tools
from teamrun.components.definitions.base import AgentDefinition, TeamDefinition
from teamrun.components.definitions.environment import MissingVariable, expand, malformed, variables
from teamrun.components.definitions.names import agents_of, has_unseen_agents
from teamrun.components.definitions.profiles import Profile
from teamrun.components.reading.agents import read_agent, read_classes
from teamrun.components.reading.fields import Fields, as_object, read_fields, version_is_known
from teamrun.components.reading.file_text import read_text
from teamrun.components.reading.problems import MALFORMED, Problems, did_you_mean, pointer, shown
from teamrun.components.reading.profiles import implicit_profile, read_profiles
from teamrun.components.reading.scope import Member, Scope
from teamrun.components.reading.tools import read_tools
from teamrun.components.reading.yaml_text import YamlText, load_yaml
from teamrun.components.registry import Registry
from teamrun.errors import DefinitionError
from teamrun.json_types import JsonMapping, JsonObject

if TYPE_CHECKING:  # few files have servers
    from teamrun.components.definitions.mcp import McpServerEntry

__all__ = ["FIRST_FILE", "TeamFile", "load_file", "load_registry"]

FIRST_FILE: Final = """\
version: 1
models:
  main: {type: openai, model: gpt-4.1-mini, api_key: "${OPENAI_API_KEY}"}
agents:
  helper: {model: main, system_message: "Answer in one sentence, then write DONE."}
teams:
  first:
    type: round_robin_group_chat
    agents: [helper]
    termination: [{type: text_mention, text: DONE, sources: [helper]}]
    max_turns: 3
"""
"""The example file shown when no file exists."""

_KNOWN: Final = {
    name: name
    for name in (
        "version",
        "models",
        "tools",
        "mcp_servers",
        "inline_tools",
        "functions",
        "roles",
        "agents",
        "teams",
    )
}


class TeamFile(NamedTuple):
    """The content of an operator's file."""

    registry: Registry
    agents: Mapping[str, AgentDefinition]
    """By their keys."""


def load_registry(path: Path, *, environ: Mapping[str, str], imports: bool = False) -> Registry:
    """Read the operator's file; see `load_file`."""
    return load_file(path, environ=environ, imports=imports).registry


def load_file(path: Path, *, environ: Mapping[str, str], imports: bool = False) -> TeamFile:
    """Read the operator's file.

    Args:
        path: The file; the modules of its tools are looked for in its folder first.
        environ: The environment that `${NAME}` is read from.
        imports: If the file has a fault, import its tools and custom agents as well, so that the
            error has all faults at once. A file without fault imports nothing yet.

    Raises:
        DefinitionError: It cannot be read, or it is invalid; the pointer is into the file.
        MissingPackage: PyYAML is not installed.
    """
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        raise DefinitionError(
            f"There is no team file {str(path)!r}. Name yours with --config or TEAMRUN_CONFIG, or "
            f"begin with this one:\n\n{FIRST_FILE}"
        ) from error
    problems = Problems()
    read = load_yaml(text, source=path.name)
    if not read.value:
        raise DefinitionError(
            f"The team file {str(path)!r} is empty; begin with this one:\n\n{FIRST_FILE}"
        )
    file = _File(path, environ, problems)
    registry = file.registry(read)
    if imports and problems.found:
        problems.found.extend(registry.import_faults())
    problems.raise_any(source=read.source)
    return TeamFile(registry, file.agents())


class _File:
    """One reading of one file."""

    def __init__(self, path: Path, environ: Mapping[str, str], problems: Problems) -> None:
        self._folder = path.parent.resolve()
        self._environ = environ
        self._problems = problems
        self._profiles: dict[str, Profile] = {}
        self._models: set[str] = set()
        self._tools: set[str] = set()
        self._raw_agents: JsonObject = {}
        self._agents: dict[str, Member | None] = {}
        self._raw_teams: JsonObject = {}
        self._teams: dict[str, Member | None] = {}
        self._open: list[str] = []
        self._unread: frozenset[str] = frozenset()
        self._roles: Mapping[str, JsonMapping | None] | None = None

    def registry(self, read: YamlText) -> Registry:
        source = as_object(read.value, "", self._problems, what="a team file") or {}
        fields = read_fields(source, "", _KNOWN, self._problems, what="a team file")
        top = {name: fields.values.get(name) for name in _KNOWN}
        version_is_known(top["version"], "/version", self._problems)
        offered = {entry.name: entry for entry in entry_point_tools()}
        own = read_tools(top["tools"], "/tools", offered, self._problems)
        if top["inline_tools"] is not None:
            # Imported late: few files allow source.
            from teamrun.components.reading.code_execution import read_inline_tools

            own += read_inline_tools(top["inline_tools"], "/inline_tools", self._problems)
        tools = ToolTable(
            [*offered.values(), *own],
            folder=self._folder,
            servers=self._servers(top["mcp_servers"]),
            environ=self._environ,
        )
        profiles = read_profiles(
            top["models"],
            "/models",
            self._problems,
            folder=self._folder,
            environ=self._environ,
        )
        self._profiles = {name: profile for name, profile in profiles.items() if profile}
        # A name defined in the file is known even if its definition is invalid.
        self._models = {*profiles, *self._keys(top["models"])}
        self._server_of = tools.server_of
        servers = self._keys(top["mcp_servers"])
        self._tools = {*tools, *self._keys(top["tools"]), *(f"mcp:{name}" for name in servers)}
        texts = self._variables({name: top[name] for name in ("roles", "agents", "teams")})
        self._raw_agents = self._map(top["agents"], "/agents")
        custom_agents = read_classes(self._raw_agents, "/agents", self._problems)
        agents = CustomAgentTable(custom_agents, folder=self._folder)
        self._raw_teams = self._map(top["teams"], "/teams")
        functions = self._functions(top["functions"])
        self._unread = self._unread_sections(fields)
        self._read_roles(top["roles"])
        self._read_members(agents, functions)
        self._note_strange_scripts()
        return Registry(
            models=Profiles(self._profiles, environ=self._environ),
            tools=tools,
            agents=agents,
            functions=functions,
            teams={
                name: cast("TeamDefinition", member.definition)
                for name, member in self._teams.items()
                if member is not None
            },
            environ=self._environ,
            texts=texts,
            source=read.source,
            roles=self._roles,
            warnings=self._problems.warnings,
        )

    def agents(self) -> dict[str, AgentDefinition]:
        """The valid agents by their keys, after `registry`."""
        return {
            key: cast("AgentDefinition", member.definition)
            for key, member in self._agents.items()
            if member is not None
        }

    def _servers(self, raw: Any) -> "Sequence[McpServerEntry]":
        if raw is None:
            return ()
        # Imported late: few files have servers.
        from teamrun.components.reading.mcp import read_servers

        return read_servers(raw, "/mcp_servers", self._problems, folder=self._folder)

    def _functions(self, raw: Any) -> FunctionTable:
        is_used = any(isinstance(e, Mapping) and "function" in e for e in self._raw_teams.values())
        if raw is None and not is_used:
            return FunctionTable()
        # Imported late: few files have functions.
        from teamrun.components.reading.functions import read_functions, read_team_functions

        own = [] if raw is None else read_functions(raw, "/functions", self._problems)
        known = {entry.name: entry for entry in own}
        of_teams = read_team_functions(self._raw_teams, "/teams", known, self._problems)
        return FunctionTable([*own, *of_teams], folder=self._folder)

    def _unread_sections(self, fields: Fields) -> frozenset[str]:
        """The sections that are misspelt, or invalid without keys that give their names."""
        keyless = [
            name
            for name in _KNOWN
            if name != "version"
            and not isinstance(fields.values.get(name), dict)
            and self._problems.is_in(f"/{name}")
        ]
        return fields.meant.union(keyless)

    def _read_roles(self, raw: Any) -> None:
        if raw is None:
            return
        # Imported late: few files have roles.
        from teamrun.components.reading.roles import read_roles

        scope = Scope(models=self._models, tools=self._tools, operator=True, unread=self._unread)
        self._roles = read_roles(raw, "/roles", scope, self._problems)

    def _read_members(self, agents: CustomAgentTable, functions: FunctionTable) -> None:
        def member(name: str) -> Member | None:
            return self._member(name, scope)

        scope = Scope(
            models=self._models,
            tools=self._tools,
            agents=agents,
            functions=functions,
            server_of=self._server_of,
            model_is_known=self._take_implicit,
            roles=self._roles,
            profile_of=self._profile_of,
            member=member,
            member_names={**self._raw_agents, **self._raw_teams},
            operator=True,
            unread=self._unread,
        )
        for name in self._raw_agents:
            self._agent(name, scope)
        for name in self._raw_teams:
            self._team(name, scope)

    def _profile_of(self, model: str, _types: Collection[str]) -> str | None:
        return model if model in self._models else None

    def _member(self, name: str, scope: Scope) -> Member | None:
        return (self._agent if name in self._raw_agents else self._team)(name, scope)

    def _agent(self, name: str, scope: Scope) -> Member | None:
        place = pointer("/agents", name)
        if name not in self._agents and self._enter(name, place):
            agent = read_agent(self._raw_agents[name], place, scope, self._problems, name=name)
            self._agents[name] = None if agent is None else Member(agent, place)
            self._open.pop()
        return self._agents.get(name)

    def _team(self, name: str, scope: Scope) -> Member | None:
        place = pointer("/teams", name)
        if name not in self._teams and self._enter(name, place):
            reader = DefinitionReader(scope, self._problems)
            self._teams[name] = reader.team(self._raw_teams[name], place, name=name)
            self._open.pop()
        return self._teams.get(name)

    def _enter(self, name: str, place: str) -> bool:
        """Note that an agent or a team is being read; False, with a problem, if it already is."""
        if place in self._open:
            inner = [each.rpartition("/")[2] for each in reversed(self._open)]
            chain = " in ".join(map(repr, [name, *inner]))
            detail = f"An agent or a team cannot be inside of itself: {chain}."
            self._problems.add(place, "invalid_definition", detail)
            return False
        self._open.append(place)
        return True

    def _note_strange_scripts(self) -> None:
        """Warn of answers in a script for an agent that the file does not have."""
        known = {*self._agents, *self._raw_teams, "selector", "orchestrator", "output-schema"}
        for member in filter(None, self._teams.values()):
            definition = cast("TeamDefinition", member.definition)
            if has_unseen_agents(definition):
                return
            known |= set(agents_of(definition))
        for profile in self._profiles.values():
            script = profile.options.get("script")
            for name in cast("JsonObject", script if isinstance(script, dict) else {}):
                if name not in known:
                    detail = f"No agent of this file is named {shown(name)}."
                    where = pointer(profile.where, "script", name)
                    self._problems.warn(where, detail + did_you_mean(name, known))

    def _take_implicit(self, name: str) -> bool:
        profile = implicit_profile(name)
        if profile is not None:
            self._profiles.setdefault(name, profile)
        return profile is not None

    def _keys(self, raw: Any) -> list[str]:
        return [str(key) for key in cast("dict[Any, Any]", raw)] if isinstance(raw, dict) else []

    def _map(self, raw: Any, where: str) -> JsonObject:
        if raw is None:
            return {}
        return as_object(raw, where, self._problems, what=f"{where[1:]!r}") or {}

    def _variables(self, raw: Any, where: str = "") -> frozenset[str]:
        """The variables in the texts of agents and teams; adds problems for those not set."""
        if isinstance(raw, dict):
            items = list(cast("JsonObject", raw).items())
        elif isinstance(raw, list):
            items = list(enumerate(cast("list[Any]", raw)))
        else:
            return self._variables_of(raw, where)
        found = [self._variables(item, pointer(where, key)) for key, item in items]
        return frozenset[str]().union(*found)

    def _variables_of(self, raw: Any, where: str) -> frozenset[str]:
        if not isinstance(raw, str) or "${" not in raw:
            return frozenset()
        if malformed(raw):
            self._problems.add(where, "invalid_definition", MALFORMED)
            return frozenset()
        try:
            expand(raw, self._environ)
        except MissingVariable as error:
            detail = f"{error.message[:-1]}; set it or give a default: ${{{error.name}:-...}}."
            self._problems.add(where, "invalid_definition", detail)
        return frozenset(variables(raw))
