"""`teamrun.yaml` for scripts: its models, agents and teams as objects, made one by one."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from teamrun.components.building.teams import TeamBuilder
from teamrun.components.building.wiring import PlainWiring
from teamrun.components.definitions.base import (
    AgentDefinition,
    BaseTeamDefinition,
    ParticipantDefinition,
    TeamDefinition,
)
from teamrun.components.reading.problems import listed
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_file
from teamrun.core.protocols import ChatAgent, Team
from teamrun.errors import UsageError
from teamrun.models.base import ChatCompletionClient
from teamrun.tools.base import Tool

if TYPE_CHECKING:
    from teamrun.agents.base import BaseChatAgent
    from teamrun.teams import BaseGroupChat

__all__ = ["AgentConfig", "Config", "ConfigLoader", "ModelConfig", "TeamConfig"]

Agents = Mapping[str, ChatAgent] | Sequence[ChatAgent]


class ConfigLoader:
    """Reads a team file."""

    @staticmethod
    def load(
        path: str | Path = "teamrun.yaml", *, environ: Mapping[str, str] | None = None
    ) -> "Config":
        """The content of a team file.

        Args:
            path: The file; modules of its tools are looked for in its folder first.
            environ: The environment that `${NAME}` is read from; by default the process's.

        Raises:
            DefinitionError: The file is missing or invalid; the message lists all faults.
            MissingPackage: PyYAML is not installed.
        """
        read = load_file(Path(path), environ=os.environ if environ is None else environ)
        registry = read.registry
        return Config(
            registry=registry,
            models={name: ModelConfig(name, registry) for name in registry.profiles()},
            agents={name: AgentConfig(each, registry) for name, each in read.agents.items()},
            teams={
                team.name: TeamConfig(team.definition, registry) for team in registry.registered()
            },
        )


class ModelConfig(NamedTuple):
    """A model profile."""

    name: str
    registry: Registry

    def create_client(self) -> ChatCompletionClient:
        """The client, the same for each call; `Config.close` closes it.

        Raises:
            DefinitionError: A variable of the environment that the profile needs is not set.
            MissingPackage: The provider's package is not installed.
        """
        return self.registry.model_client(self.name)


class AgentConfig(NamedTuple):
    """An agent of the file."""

    definition: AgentDefinition
    registry: Registry

    @property
    def name(self) -> str:
        """The agent's own name."""
        return self.definition.name

    def create_agent(self, client: ChatCompletionClient | None = None) -> "BaseChatAgent":
        """A new agent.

        Args:
            client: Its model; by default the one of its profile.

        Raises:
            DefinitionError: A model or tool that it names cannot be made here.
        """
        definition = self.registry.expanded(self.definition)
        builder = TeamBuilder(_Parts(self.registry, client), PlainWiring())
        return cast("BaseChatAgent", builder.participant(definition, self.name))


class TeamConfig(NamedTuple):
    """A team of the file."""

    definition: TeamDefinition
    registry: Registry

    def create_team(
        self, agents: Agents | None = None, client: ChatCompletionClient | None = None
    ) -> "BaseGroupChat":
        """A new team.

        Args:
            agents: The agents of the file, each found by its name; those of other teams are left
                out. By default new ones.
            client: The model that selects speakers, and that of new agents; by default those of
                the file.

        Raises:
            UsageError: An agent of the team is not among `agents`.
            DefinitionError: A model or tool that it names cannot be made here.
        """
        definition = self.registry.expanded(self.definition)
        builder = _Builder(_Parts(self.registry, client), agents)
        return builder.team(definition, definition.name)


class Config(NamedTuple):
    """The content of a team file, by the names of its sections."""

    registry: Registry
    models: Mapping[str, ModelConfig]
    agents: Mapping[str, AgentConfig]
    teams: Mapping[str, TeamConfig]

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools; they are imported when this is asked for.

        Raises:
            DefinitionError: One cannot be imported.
        """
        return {name: self.registry.tool(name) for name in self.registry.tool_names()}

    async def close(self) -> None:
        """Close the model clients."""
        await self.registry.close()


class _Parts:
    """The registry, with another client for all models."""

    def __init__(self, registry: Registry, client: ChatCompletionClient | None) -> None:
        self._registry = registry
        self._client = client
        self.expanded = registry.expanded
        self.tool = registry.tool
        self.mcp_server = registry.mcp_server
        self.agent = registry.agent
        self.function = registry.function

    def model_client(self, profile: str) -> ChatCompletionClient:
        return self._registry.model_client(profile) if self._client is None else self._client


class _Builder(TeamBuilder):
    """Takes agents that exist already."""

    def __init__(self, needs: _Parts, agents: Agents | None) -> None:
        super().__init__(needs, PlainWiring())
        given = agents.values() if isinstance(agents, Mapping) else agents or ()
        self._agents = None if agents is None else {agent.name: agent for agent in given}

    def participant(self, definition: ParticipantDefinition, path: str) -> ChatAgent | Team:
        if self._agents is None or isinstance(definition, BaseTeamDefinition):
            return super().participant(definition, path)
        if definition.name not in self._agents:
            raise UsageError(
                f"The team {path.split('/')[-2]!r} needs the agent {definition.name!r}, and"
                f" `agents` has {listed(self._agents)}. Add it, or pass no agents.",
                agent=definition.name,
            )
        return self._agents[definition.name]
