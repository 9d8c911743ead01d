"""The names that a definition may refer to, and the features that it may use."""

from collections.abc import Callable, Collection, Mapping
from typing import Literal, NamedTuple

from teamrun.components.definitions.agents import INLINE_TOOLS
from teamrun.components.definitions.base import (
    BaseAgentDefinition,
    ParticipantDefinition,
)
from teamrun.components.definitions.mcp import SERVER_PREFIX
from teamrun.components.reading.problems import Problems, did_you_mean, listed, shown
from teamrun.json_types import JsonMapping

__all__ = ["Member", "Scope", "UnreadDefinition"]


class Member(NamedTuple):
    """A participant and its location in the document."""

    definition: ParticipantDefinition
    where: str


class UnreadDefinition(BaseAgentDefinition):
    """Stands for a member with a problem, so that what depends on its name alone is checked."""

    type: Literal["unread"] = "unread"
    name: str
    description: str | None = None
    has_members: bool = False
    """Whether there may be agents inside, whose names are not known."""


def _nothing(_: str) -> None:
    return None


def _unregistered(_: JsonMapping) -> None:
    return None


def _no(_: str) -> bool:
    return False


def _none(_: str, __: Collection[str]) -> str | None:
    return None


class Scope(NamedTuple):
    """The names that a document may use."""

    models: Collection[str]
    """Model profiles."""
    tools: Collection[str]
    """Registered tools."""
    agents: Collection[str] = ()
    """Registered custom agents."""
    functions: Collection[str] = ()
    """Registered functions."""
    server_of: Callable[[JsonMapping], str | None] = _unregistered
    """The registered MCP server that AutoGen's `server_params` describe."""
    model_is_known: Callable[[str], bool] = _no
    """Takes model names beyond `models`: `provider:model` in the operator's file."""
    profile_of: Callable[[str, Collection[str]], str | None] = _none
    """The profile of that name, or the one that calls the provider's model of that name, as AutoGen
    files name models; of several, one of these types."""
    roles: Mapping[str, JsonMapping | None] | None = None
    """The roles of agents, None for an invalid one; None: the presets."""
    override: str | None = None
    """The profile that a request gives all agents; those of the document need not exist."""
    member: Callable[[str], Member | None] = _nothing
    """An agent or team of the same file, by its key; inline definitions have none."""
    member_names: Collection[str] = ()
    depth: int = 0
    """How many teams, and agents with another one inside, are around."""
    operator: bool = False
    """Whether the document is the operator's own file."""
    unread: Collection[str] = ()
    """Sections of the file (`models`, `tools`, `agents`, `teams`) whose names are not all known
    because of a fault in the section itself; a name that is not found there is no other fault."""

    def check_model(self, name: object, where: str, problems: Problems) -> None:
        """Add a problem if the profile does not exist."""
        if not isinstance(name, str) or name in self.models or self.model_is_known(name):
            return
        if self.override is not None:
            return
        if "models" in self.unread or problems.is_in(where):
            return
        hint = did_you_mean(name, self.models)
        problems.add(
            where,
            "unknown_model",
            f"There is no model profile {shown(name)}.{hint} Registered: {listed(self.models)}.",
        )

    def need_model(self, where: str, problems: Problems, *, name: str = "model") -> None:
        """Add the problem of an agent or a team without a model; `name` is that of the field."""
        known = f" Registered: {listed(self.models)}." if "models" not in self.unread else ""
        detail = f"{name!r} is needed: the name of a model profile.{known}"
        problems.add(where, "invalid_definition", detail)

    def role(self, name: object, where: str, problems: Problems) -> JsonMapping | None:
        """The fields of a role; None without a name, or with a problem added."""
        if name is None or problems.is_in(where):
            return None
        if (roles := self.roles) is None:
            # Imported late: few agents have a role.
            from teamrun.components.definitions.roles import ROLES

            roles = ROLES
        if isinstance(name, str) and name in roles:
            return roles[name]
        if "roles" not in self.unread:
            hint = did_you_mean(str(name), roles)
            detail = f"There is no role {shown(name)}.{hint} There are {listed(roles, most=20)}."
            problems.add(where, "invalid_definition", detail)
        return None

    def check_agent(self, name: object, where: str, problems: Problems) -> None:
        """Add a problem if the custom agent is not registered."""
        if not isinstance(name, str) or name in self.agents or problems.is_in(where):
            return
        hint = did_you_mean(name, self.agents)
        problems.add(
            where,
            "unknown_agent",
            f"There is no custom agent {shown(name)}.{hint} Registered: {listed(self.agents)}.",
        )

    def check_function(self, name: object, where: str, problems: Problems) -> None:
        """Add a problem if the function is not registered."""
        if not isinstance(name, str) or name in self.functions or problems.is_in(where):
            return
        if ":" in name or "." in name:
            problems.add(
                where,
                "source_not_allowed",
                f"{shown(name)} names a module; only functions that the operator registered under"
                f" 'functions' are taken: {listed(self.functions)}.",
            )
            return
        if "functions" in self.unread:
            return
        hint = did_you_mean(name, self.functions)
        problems.add(
            where,
            "unknown_function",
            f"There is no function {shown(name)}.{hint} Registered: {listed(self.functions)}.",
        )

    def check_source(self, where: str, problems: Problems) -> None:
        """Add a problem if no tool is registered that executes the source of definitions."""
        if INLINE_TOOLS not in self.tools and "tools" not in self.unread:
            problems.add(
                where,
                "source_not_allowed",
                "Source is not executed here: the operator has turned on no sandbox for it"
                " ('inline_tools: sandbox' in teamrun.yaml). Name registered tools instead:"
                f" {listed(self.tools)}.",
            )

    @property
    def servers(self) -> list[str]:
        """The registered MCP servers, which are sets of tools."""
        return [
            name.removeprefix(SERVER_PREFIX)
            for name in self.tools
            if name.startswith(SERVER_PREFIX)
        ]

    @property
    def known_servers(self) -> str:
        """The registered MCP servers, as a sentence."""
        return f"Registered: {listed(self.servers)}."

    def check_server(self, name: object, where: str, problems: Problems) -> None:
        """Add a problem if the MCP server is not registered."""
        if not isinstance(name, str) or problems.is_in(where) or "mcp_servers" in self.unread:
            return
        if f"{SERVER_PREFIX}{name}" not in self.tools:
            hint = did_you_mean(name, self.servers)
            detail = f"There is no MCP server {shown(name)}.{hint} {self.known_servers}"
            problems.add(where, "unknown_tool", detail)

    def check_tool(self, name: object, where: str, problems: Problems) -> None:
        """Add a problem if the tool is not registered."""
        if not isinstance(name, str) or name in self.tools or problems.is_in(where):
            return
        if ":" in name or "." in name:
            problems.add(
                where,
                "source_not_allowed",
                f"{shown(name)} names a module; only tools that the operator registered are taken:"
                f" {listed(self.tools)}.",
            )
            return
        if "tools" in self.unread:
            return
        hint = did_you_mean(name, self.tools)
        problems.add(
            where,
            "unknown_tool",
            f"There is no tool {shown(name)}.{hint} Registered: {listed(self.tools)}.",
        )
