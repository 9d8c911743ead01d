"""The models, tools and teams of one process, and the reading of inline definitions.

Above it: the HTTP API (resolve, validate, list), the engine and `build` (clients and tools). Below
it: `Profiles`, `ToolTable` and the readers. `config.load_registry` makes one of `teamrun.yaml`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from teamrun.components.autogen.reader import DefinitionReader
from teamrun.components.building.code_table import CodeTable, FunctionTable
from teamrun.components.building.custom_agents import CustomAgentTable, MakeAgent
from teamrun.components.building.models import Profiles
from teamrun.components.building.tools import ToolTable
from teamrun.components.definitions.base import BaseParticipantDefinition, TeamDefinition
from teamrun.components.definitions.digest import digest as digest_of
from teamrun.components.definitions.digest import request_key, version_of
from teamrun.components.definitions.environment import expand, variables
from teamrun.components.definitions.names import (
    agents_of,
    classes_of,
    endless_of,
    functions_of,
    models_of,
    silent_of,
    tools_of,
)
from teamrun.components.definitions.overrides import overridden
from teamrun.components.reading.bounds import within_bounds
from teamrun.components.reading.fields import version_is_known
from teamrun.components.reading.problems import (
    Problem,
    Problems,
    Source,
    Warned,
    did_you_mean,
    listed,
    pointer,
    shown,
)
from teamrun.components.reading.scope import Scope
from teamrun.errors import DefinitionError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.base import ChatCompletionClient
from teamrun.models.pacing.pacing import Pacing
from teamrun.models.prices import Price, price_of
from teamrun.tools.base import Tool

if TYPE_CHECKING:  # what describes teams to clients is imported at first use: an engine needs none
    from teamrun.agents.base import BaseChatAgent
    from teamrun.components.resources import ModelUse, Note, TeamSummary, Validation
    from teamrun.models.answers import Answers
    from teamrun.tools.mcp.server import McpServer

__all__ = ["Registry", "Resolved"]


PartT = TypeVar("PartT", bound=BaseParticipantDefinition)

_MOST_RESOLUTIONS = 100


class Resolved(NamedTuple):
    """A team as a run pins it."""

    name: str
    id: str
    """The name, or the id of a stored team."""
    version: str
    """The number of the version of a stored team, otherwise the first 12 digits of `digest`."""
    digest: str
    definition: TeamDefinition
    models: dict[str, str]
    """The profiles that it names, each with its digest."""
    tools: dict[str, str]
    """The tools that it names, each with its digest."""
    agents: dict[str, str]
    """The custom agents that it names, each with its digest."""
    functions: dict[str, str]
    """The functions that it names, each with its digest."""


class Registry:
    """The models, tools and teams of one process.

    `texts` are the variables of the environment that the operator's agents and teams mention:
    only these are ever put into the texts of a definition. `source` is the operator's file, for
    messages. `roles` are the roles of agents; None: the presets.
    """

    def __init__(
        self,
        *,
        models: Profiles,
        tools: ToolTable,
        agents: CustomAgentTable,
        teams: Mapping[str, TeamDefinition],
        environ: Mapping[str, str],
        texts: frozenset[str] = frozenset(),
        source: Source | None = None,
        roles: Mapping[str, JsonMapping | None] | None = None,
        functions: FunctionTable | None = None,
        warnings: Sequence[Warned] = (),
    ) -> None:
        self._models = models
        self._tools = tools
        self._agents = agents
        self._functions = functions or FunctionTable()
        self._teams = dict(teams)
        self._environ = {name: environ[name] for name in texts if name in environ}
        self._texts = texts
        self._source = source
        self._roles = roles
        self._warnings = tuple(warnings)
        self._resolutions: dict[tuple[str | None, str], Resolved] = {}
        """The results of `resolve`, which depend on nothing that changes."""

    @classmethod
    def of(
        cls,
        *,
        teams: Mapping[str, JsonMapping],
        models: Mapping[str, ChatCompletionClient] | None = None,
        tools: Iterable[Tool] = (),
        agents: Mapping[str, MakeAgent] | None = None,
        functions: Mapping[str, Any] | None = None,
        mcp_servers: "Iterable[McpServer]" = (),
    ) -> "Registry":
        """A registry of clients and tools that exist already: for scripts and tests.

        Args:
            teams: Inline definitions by name.
            models: Clients by the names of their profiles.
            tools: Tools; their own names count.
            agents: Agent classes of your own by name.
            functions: Functions, classes of conditions, and functions that make teams, by name.
            mcp_servers: MCP servers; their own names count.

        Raises:
            DefinitionError: A team is invalid; the pointer begins with its name.
        """
        profiles = Profiles({}, environ={}, clients=models)
        table, own = ToolTable(tools=tools, given=mcp_servers), CustomAgentTable(given=agents)
        own_functions = FunctionTable(given=functions)
        problems = Problems()
        read: dict[str, TeamDefinition] = {}
        for name, raw in teams.items():
            scope = Scope(models=profiles, tools=table, agents=own, functions=own_functions)
            reader = DefinitionReader(scope, problems)
            member = reader.team(raw, pointer("", name), name=name)
            if member is not None:
                read[name] = _team(member.definition)
        problems.raise_any()
        return cls(
            models=profiles,
            tools=table,
            agents=own,
            functions=own_functions,
            teams=read,
            environ={},
        )

    def resolve(
        self,
        *,
        team: str | None = None,
        team_spec: JsonMapping | None = None,
        model: str | None = None,
    ) -> Resolved:
        """The team that a request names or brings along.

        Args:
            team: The name of a registered team; `@latest` may follow.
            team_spec: A definition of the client's own.
            model: The profile of the request's `overrides`. All agents of `team_spec` get it here
                if the definition cannot be read otherwise, because of models without a profile.

        Raises:
            DefinitionError: It is unknown or invalid; the pointer is into the request body.
        """
        key = request_key(team, team_spec, model)
        found = None if key is None else self._resolutions.get(key)
        if found is None:
            found = self._resolve(team, team_spec, model)
            if key is not None:
                if len(self._resolutions) >= _MOST_RESOLUTIONS:
                    self._resolutions.clear()
                self._resolutions[key] = found
        return found

    def _resolve(
        self, team: str | None, team_spec: JsonMapping | None, model: str | None
    ) -> Resolved:
        problems = Problems()
        definition = self._read(team, team_spec, problems)
        if problems.found and team is None and team_spec is not None and model is not None:
            override = Problems()
            self._check_override(model, override)
            if override.found:
                problems.found += override.found
            else:
                problems = override
                definition = self._inline(team_spec, problems, model=model)
                if definition is not None:
                    definition = overridden(definition, model=model, max_turns=None)
        problems.raise_any()
        assert definition is not None, "what cannot be read leaves a problem"
        return self._resolved(
            definition.name if team is None else team.partition("@")[0], definition
        )

    def overridden(
        self, name: str, definition: TeamDefinition, *, model: str | None, max_turns: int | None
    ) -> Resolved:
        """A team with another model for all its agents, or another number of turns.

        Args:
            name: The name that the run is listed under.
            definition: As a run has pinned it, or would.
            model: A profile.
            max_turns: Of the outermost team.

        Raises:
            DefinitionError: The model profile is unknown; the pointer is into the request body.
        """
        problems = Problems()
        if model is not None:
            self._check_override(model, problems)
        problems.raise_any()
        changed = overridden(definition, model=model, max_turns=max_turns)
        return self._resolved(name, changed)

    def _check_override(self, model: str, problems: Problems) -> None:
        scope = Scope(models=self._models, tools=self._tools)
        scope.check_model(model, "/overrides/model", problems)

    def pinned(
        self, name: str, definition: TeamDefinition, *, id: str, version: str, digest: str
    ) -> Resolved:
        """A stored version of a team, whose names may have been removed since it was stored.

        Args:
            name: The name of the team.
            definition: As it was stored.
            id: Of the team.
            version: The number of the version.
            digest: Of the definition, as it was when the version was stored.

        Raises:
            DefinitionError: A model, tool, custom agent or function is not registered any more;
                the pointer is `/team`.
        """
        problems = Problems()
        scope = Scope(self._models, self._tools, self._agents, self._functions)
        for names, check in (
            (models_of(definition), scope.check_model),
            (tools_of(definition), scope.check_tool),
            (classes_of(definition), scope.check_agent),
            (functions_of(definition), scope.check_function),
        ):
            for each in sorted(names):
                found = Problems()
                check(each, "/team", found)
                for problem in found.found:
                    detail = f"Version {version} of the team {name!r}: {problem.detail}"
                    problems.add("/team", problem.code, detail)
        problems.raise_any()
        resolved = self._resolved(name, definition)
        return resolved._replace(id=id, version=version, digest=digest)

    def _resolved(self, name: str, definition: TeamDefinition) -> Resolved:
        digest = digest_of(definition)
        return Resolved(
            name=name,
            id=name,
            version=version_of(digest),
            digest=digest,
            definition=definition,
            models={name: self._models.digest(name) for name in sorted(models_of(definition))},
            tools={name: self._tools.digest(name) for name in sorted(tools_of(definition))},
            agents={name: self._agents.digest(name) for name in sorted(classes_of(definition))},
            functions={
                name: self._functions.digest(name) for name in sorted(functions_of(definition))
            },
        )

    def validate(
        self, *, team: str | None = None, team_spec: JsonMapping | None = None
    ) -> "Validation":
        """The errors and warnings of a team."""
        from teamrun.components.resources import DefinitionProblem, Note, Validation

        problems = Problems()
        definition = self._read(team, team_spec, problems)
        warnings = [Note(pointer=place, detail=text) for place, text in problems.warnings]
        if definition is not None:
            warnings += self.notes(definition, "/team" if team_spec is None else "/team_spec")
        return Validation(
            valid=not problems.found,
            errors=[DefinitionProblem(**problem._asdict()) for problem in problems.found],
            warnings=warnings,
        )

    @property
    def warnings(self) -> list[str]:
        """Warnings: parts of the operator's file that are valid but probably not intended."""
        if self._source is None:
            return [warned.detail for warned in self._warnings]
        return [self._source.line_of(*warned) for warned in self._warnings]

    def profiles(self) -> list[str]:
        """The names of all model profiles."""
        return sorted(self._models)

    def team_names(self) -> list[str]:
        """The names of the registered teams."""
        return sorted(self._teams)

    def teams(self) -> "list[TeamSummary]":
        """The registered teams, by name."""
        return [self.summary(team) for team in self.registered()]

    def registered(self) -> list[Resolved]:
        """The registered teams as runs pin them, by name."""
        return [
            self._resolved(name, definition) for name, definition in sorted(self._teams.items())
        ]

    def summary(self, team: Resolved) -> "TeamSummary":
        """The summary of a team for clients, with the models used in this process."""
        from teamrun.components.resources import TeamSummary

        definition = team.definition
        return TeamSummary(
            id=team.id,
            name=team.name,
            version=team.version,
            digest=team.digest,
            type=definition.type,
            description=definition.description,
            agents=agents_of(definition),
            models=self.model_uses(definition),
            tools=sorted(tools_of(definition)),
        )

    def notes(self, definition: TeamDefinition, where: str) -> "list[Note]":
        """Warnings about the models of a valid definition; `where` points to it."""
        from teamrun.components.resources import Note

        return [
            Note(pointer=where, detail=use.note)
            for use in self.model_uses(definition)
            if use.missing is not None or use.active != use.profile
        ]

    def doubts(self, definition: TeamDefinition) -> list[str]:
        """Warnings about a valid definition: teams that nothing ends, agents that never speak."""
        endless = [
            f"The team {name!r} never ends by itself: give it a termination condition or"
            " 'max_turns'. Otherwise a run continues, and calls models, until one of its limits is"
            " reached or it is cancelled."
            for name in endless_of(definition)
        ]
        return endless + [
            f"The agent {name!r} is no node of its graph, so it never speaks: add it to 'nodes', or"
            " remove it."
            for name in silent_of(definition)
        ]

    def model_client(self, profile: str) -> ChatCompletionClient:
        """The client of a profile, made once per process.

        Raises:
            DefinitionError: The profile is unknown, or a variable that it needs is not set.
        """
        return self._models.client(profile)

    @property
    def pacing(self) -> Pacing:
        """The pace of the model calls of this process."""
        return self._models.pacing

    def share_answers(self, answers: "Answers") -> None:
        """Keep the answers of models that have a response cache there from now on."""
        self._models.share_answers(answers)

    def price(self, profile: str, model: str | None) -> Price | None:
        """The cost of a call: by the operator's price for the profile, else by the model's name.

        Args:
            profile: The name that the team uses.
            model: The model's name in the provider's response.
        """
        # The calls of a team that is written in Python have the name of the team.
        own = self._models.price(profile) if profile in self._models else None
        return own or price_of(model)

    def model_use(self, profile: str) -> "ModelUse":
        """The model that a profile resolves to in this process."""
        from teamrun.components.resources import ModelUse

        active = self._models.active(profile)
        if active is None:
            scripted = self._models.is_scripted(profile)
            return ModelUse(profile=profile, active=profile, type="client", scripted=scripted)
        return ModelUse(
            profile=profile,
            active=active.profile.name,
            type=active.profile.type,
            model=self._models.model(profile),
            scripted=self._models.is_scripted(profile),
            missing=active.missing,
            unset=active.unset,
        )

    def model_uses(self, definition: TeamDefinition) -> "list[ModelUse]":
        """The models that the profiles of a definition resolve to in this process.

        Profiles that a stored definition names and that are gone are left out.
        """
        named = sorted(models_of(definition))
        return [self.model_use(profile) for profile in named if profile in self._models]

    def scripted_fallbacks(self) -> "list[ModelUse]":
        """The profiles that a script answers here because a variable is not set.

        These are the profiles of the registered teams, and those that an inline definition can
        name; a profile that is only another one's fallback is not counted.
        """
        named = [models_of(definition) for definition in self._teams.values()]
        profiles = sorted(set(self._models.entry_points()).union(*named))
        return [use for use in map(self.model_use, profiles) if use.is_scripted_fallback]

    def tool_names(self) -> list[str]:
        """The names of all tools."""
        return sorted(self._tools)

    def tool(self, name: str) -> Tool:
        """A registered tool, imported at its first use.

        Raises:
            DefinitionError: There is none, or its function cannot be imported.
        """
        return self._tools.get(name)

    def mcp_server(self, name: str) -> "McpServer":
        """A registered MCP server; its sessions are opened at the first use.

        Raises:
            DefinitionError: There is none, or its settings are invalid.
        """
        return self._tools.server(name)

    def agent(self, agent: str, *, name: str, **options: Any) -> "BaseChatAgent":
        """A new agent of a registered class, imported at its first use.

        Args:
            agent: The name of the class.
            name: Of the agent in its team.
            options: The other fields of its definition.

        Raises:
            DefinitionError: The class is unknown, or creates no agent.
        """
        return self._agents.make(agent, name=name, **options)

    def function(self, name: str) -> Any:
        """A registered function, imported at its first use; it may be a class, or a team.

        Raises:
            DefinitionError: There is none, or it cannot be imported.
        """
        return self._functions.get(name)

    def preload(self, team: Resolved | None = None) -> None:
        """Import all code that is registered, so that mistakes show when the process starts.

        Args:
            team: Import only what this team uses; if that fails, the error lists all problems.

        Raises:
            DefinitionError: Functions or classes cannot be imported; each is in its `problems`.
        """
        if team is None or self._faults(team.tools, team.agents, team.functions):
            self.refuse(self.import_faults())

    def import_faults(self) -> list[Problem]:
        """Import all code that is registered; returns a fault for each that cannot be imported."""
        return self._faults(self._tools, self._agents, self._functions)

    def imports_code(self) -> bool:
        """Whether there is code to import."""
        return bool(len(self._tools) or len(self._agents) or len(self._functions))

    def refuse(self, found: Sequence[Problem]) -> None:
        """Raise faults as one error, a `DefinitionError`, with their places in the file."""
        problems = Problems()
        problems.found.extend(found)
        problems.raise_any(source=self._source)

    def _faults(
        self, tools: Iterable[str], agents: Iterable[str], functions: Iterable[str]
    ) -> list[Problem]:
        found: list[Problem] = []
        tables: tuple[ToolTable | CodeTable, ...] = (self._tools, self._agents, self._functions)
        for table, names in zip(tables, (tools, agents, functions), strict=True):
            for name in sorted(names):
                try:
                    table.preload(name)
                except DefinitionError as error:
                    found.append(Problem.of(error))
        return found

    def expanded(self, definition: PartT) -> PartT:
        """A definition with the operator's variables filled into its texts, ready to be built.

        Raises:
            MissingVariable: A variable is not set in this process.
        """
        if "${" not in definition.model_dump_json():
            return definition
        return definition.model_validate(self._filled_in(definition.model_dump(mode="json")))

    def _filled_in(self, value: Any) -> Any:
        match value:
            case str():
                return expand(value, self._environ) if variables(value) <= self._texts else value
            case dict():
                pairs = cast("JsonObject", value).items()
                return {key: self._filled_in(item) for key, item in pairs}
            case list():
                return [self._filled_in(item) for item in cast("list[Any]", value)]
            case _:
                return value

    async def close(self) -> None:
        """Close the model clients, and end the MCP servers."""
        await self._models.close()
        await self._tools.close()

    def _read(
        self, team: str | None, spec: JsonMapping | None, problems: Problems
    ) -> TeamDefinition | None:
        if (team is None) == (spec is None):
            where = "/team" if team is None else "/team_spec"
            detail = "Give either 'team' (a name) or 'team_spec' (a definition)."
            problems.add(where, "invalid_definition", detail)
            return None
        if spec is None:
            return self._registered(str(team), problems)
        return self._inline(spec, problems)

    def _registered(self, written: str, problems: Problems) -> TeamDefinition | None:
        name, at, version = written.partition("@")
        definition = self._teams.get(name)
        if definition is None:
            hint = did_you_mean(name, self._teams)
            detail = f"There is no team {shown(name)}.{hint} Registered: {listed(self._teams)}."
            problems.add("/team", "unknown_team", detail)
            return None
        if at and version != "latest":
            detail = f"The team {name!r} has no version {shown(version)}; write {name!r}."
            problems.add("/team", "unknown_version", detail)
            return None
        return definition

    def _inline(
        self, spec: JsonMapping, problems: Problems, *, model: str | None = None
    ) -> TeamDefinition | None:
        where = "/team_spec"
        if not within_bounds(spec, where, problems):
            return None
        if "provider" not in spec:
            version, place = spec.get("version"), pointer(where, "version")
            # Without a type it may be a record of AutoGen Studio, which has a version of its own.
            if "type" in spec and not version_is_known(version, place, problems):
                return None
            spec = {key: value for key, value in spec.items() if key != "version"}
        scope = Scope(
            models=self._models,
            tools=self._tools,
            agents=self._agents,
            functions=self._functions,
            server_of=self._tools.server_of,
            profile_of=self._models.for_model,
            roles=self._roles,
            override=model,
        )
        member = DefinitionReader(scope, problems).team(spec, where)
        return None if member is None else _team(member.definition)


def _team(definition: Any) -> TeamDefinition:
    return definition
