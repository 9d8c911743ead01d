"""Teams built from the canonical form.

Used by the engine and the command line. Each model client, tool and question to a person is passed
to a `Wiring` with the path of the agent that uses it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from teamrun.agents.base import BaseChatAgent
from teamrun.components.building.conditions import build_condition
from teamrun.components.building.wiring import PlainWiring, Wiring
from teamrun.components.definitions.base import (
    BaseTeamDefinition,
    ParticipantDefinition,
    TeamDefinition,
)
from teamrun.components.definitions.contexts import CONTEXTS, ContextDefinition
from teamrun.components.definitions.kinds import AGENTS, TEAMS
from teamrun.components.definitions.table import load
from teamrun.components.definitions.teams import (
    RoundRobinDefinition,
)
from teamrun.context import ChatCompletionContext
from teamrun.core.protocols import ChatAgent, Team
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.base import ChatCompletionClient
from teamrun.models.with_arguments import with_arguments
from teamrun.teams import BaseGroupChat, RoundRobinGroupChat
from teamrun.tools.base import StreamTool, Tool

if TYPE_CHECKING:  # few teams use a server
    from teamrun.tools.mcp.server import McpServer

__all__ = [
    "Needs",
    "TeamBuilder",
    "build_context",
    "build_round_robin",
    "build_team",
    "given",
]

_PLAIN: Final = PlainWiring()
_NO_ARGUMENTS: Final[JsonMapping] = {}


class Needs(Protocol):
    """Looks up the names that a definition refers to; implemented by `Registry`."""

    def expanded(self, definition: TeamDefinition) -> TeamDefinition:
        """The definition with the operator's variables filled into its texts."""
        ...

    def model_client(self, profile: str) -> ChatCompletionClient:
        """The client of a model profile."""
        ...

    def tool(self, name: str) -> Tool:
        """A registered tool."""
        ...

    def mcp_server(self, name: str) -> "McpServer":
        """A registered MCP server."""
        ...

    def agent(self, agent: str, *, name: str, **options: Any) -> BaseChatAgent:
        """A new agent of a registered class."""
        ...

    def function(self, name: str) -> Any:
        """A registered function, or the team of that name."""
        ...


def build_team(
    definition: TeamDefinition, registry: Needs, wiring: Wiring = _PLAIN
) -> BaseGroupChat:
    """A new team.

    Raises:
        DefinitionError: A model or tool that it names cannot be made here.
        MissingVariable: A text needs an environment variable that is not set here.
    """
    return TeamBuilder(registry, wiring).team(registry.expanded(definition), definition.name)


class TeamBuilder:
    """Builds one team. The functions that the rows of `kinds` name get it as their last argument.

    It takes `(definition, path, builder)`; that of a team takes
    `(definition, participants, options, path, builder)`.
    """

    def __init__(self, needs: Needs, wiring: Wiring) -> None:
        self.needs = needs
        self.wiring = wiring

    def team(self, definition: BaseTeamDefinition, path: str) -> BaseGroupChat:
        """The team at a path."""
        participants = [
            self.participant(member, f"{path}/{member.name}") for member in definition.participants
        ]
        options = given(
            name=definition.name,
            description=definition.description,
            max_turns=definition.max_turns,
            emit_team_events=definition.emit_team_events,
        )
        if definition.termination is not None:
            options["termination_condition"] = build_condition(
                definition.termination, self.needs.function
            )
        build = load(TEAMS[definition.type].build)
        team: BaseGroupChat = build(definition, participants, options, path, self)
        if definition.shared_memory:
            team.open_shared_memory()
        return team.instruct(
            objectives=definition.objectives or (), constraints=definition.constraints or ()
        )

    def participant(self, definition: ParticipantDefinition, path: str) -> ChatAgent | Team:
        """The agent or team at a path."""
        if isinstance(definition, BaseTeamDefinition):
            return self.team(definition, path)
        return load(AGENTS[definition.type].build)(definition, path, self)

    def model(
        self, profile: str, agent: str, path: str, arguments: JsonMapping = _NO_ARGUMENTS
    ) -> ChatCompletionClient:
        """The client of a profile for the agent at a path, with arguments for every call."""
        client = self.needs.model_client(profile).for_agent(agent)
        return self.wiring.model(path, profile, with_arguments(client, arguments))

    def tool(self, name: str, path: str) -> Tool:
        """A tool for the agent at a path."""
        tool = self.needs.tool(name)
        if not isinstance(tool, StreamTool):
            return self.wiring.tool(path, tool)
        # Imported late: few teams have an agent or a team as a tool.
        from teamrun.components.building.delegates import wired_tool

        return wired_tool(path, tool, self.wiring)


def given(**options: Any) -> JsonObject:
    """The options that are not None: the rest is left to the class."""
    return {name: value for name, value in options.items() if value is not None}


def build_context(
    definition: ContextDefinition, client: ChatCompletionClient
) -> ChatCompletionContext:
    """A new model context; `client` counts the tokens of those that need it."""
    kind = CONTEXTS[definition.type]
    make = load(kind.build)
    return make(client, **definition.sizes) if kind.takes_client else make(**definition.sizes)


def build_round_robin(
    _definition: RoundRobinDefinition,
    participants: Sequence[ChatAgent | Team],
    options: JsonObject,
    _path: str,
    _builder: TeamBuilder,
) -> RoundRobinGroupChat:
    """A team whose participants speak in turn."""
    return RoundRobinGroupChat(participants, **options)
