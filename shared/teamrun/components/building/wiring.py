"""The hooks by which a builder wraps each leaf of a team, which makes the team durable.

A path names a leaf by its position: `analysts/analyst`, `outer/inner/agent`,
`analysts/selector` for the model that selects the speaker.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from teamrun.agents.base import BaseChatAgent
from teamrun.components.building.answers import input_with_form
from teamrun.components.definitions.agents import UserProxyDefinition
from teamrun.core.protocols import InputFunc
from teamrun.models.base import ChatCompletionClient
from teamrun.tools.base import Tool
from teamrun.tools.function import FunctionTool
from teamrun.tools.own_state import OwnStateTool

if TYPE_CHECKING:  # a team without such a tool does not need its module
    from teamrun.components.definitions.mcp import McpWorkbenchDefinition
    from teamrun.tools.agent_tool import TaskRunnerTool
    from teamrun.tools.mcp.server import McpServer
    from teamrun.tools.workbench import Workbench

__all__ = ["InputFunc", "PlainWiring", "Wiring"]


class Wiring(Protocol):
    """Returns each leaf as the team shall use it."""

    def model(self, path: str, profile: str, client: ChatCompletionClient) -> ChatCompletionClient:
        """The client of the agent at `path`."""
        ...

    def inner_model(
        self, path: str, profile: str, client: ChatCompletionClient
    ) -> ChatCompletionClient:
        """The client of an agent at `path` whose code is the operator's own."""
        ...

    def agent(self, path: str, agent: BaseChatAgent) -> BaseChatAgent:
        """An agent at `path` whose code is the operator's own."""
        ...

    def tool(self, path: str, tool: Tool) -> Tool:
        """A tool of the agent at `path`."""
        ...

    def workbench(
        self, path: str, server: "McpServer", definition: "McpWorkbenchDefinition"
    ) -> "Workbench":
        """Tools of an MCP server for the agent at `path`."""
        ...

    def delegate(
        self, path: str, tool: "TaskRunnerTool", copied: "Callable[[Wiring], TaskRunnerTool]"
    ) -> Tool:
        """An agent or a team as a tool of the agent at `path`.

        Args:
            path: Of the agent that calls it.
            tool: As it is registered; it may be shared.
            copied: Copies it, with leaves as a wiring returns them.
        """
        ...

    def input(
        self, path: str, func: InputFunc | None, person: UserProxyDefinition
    ) -> InputFunc | None:
        """The way to ask the person at `path`; None asks on the terminal."""
        ...


class PlainWiring:
    """Wraps nothing: for a team in a script, a notebook or a test.

    People answer on the terminal.
    """

    def model(self, path: str, profile: str, client: ChatCompletionClient) -> ChatCompletionClient:
        """The client, unchanged."""
        return client

    def inner_model(
        self, path: str, profile: str, client: ChatCompletionClient
    ) -> ChatCompletionClient:
        """The client, unchanged."""
        return client

    def agent(self, path: str, agent: BaseChatAgent) -> BaseChatAgent:
        """The agent, unchanged."""
        return agent

    def tool(self, path: str, tool: Tool) -> Tool:
        """The tool with a state of this agent; the agent asks on the terminal for approval."""
        return OwnStateTool(tool, path=path) if isinstance(tool, FunctionTool) else tool

    def workbench(
        self, path: str, server: "McpServer", definition: "McpWorkbenchDefinition"
    ) -> "Workbench":
        """The tools; the agent asks on the terminal for approval."""
        # Imported late: few teams use a server.
        from teamrun.tools.mcp.workbench import ServerWorkbench

        return ServerWorkbench(
            server, only=definition.tools, overrides=definition.tool_overrides or {}
        )

    def delegate(
        self, path: str, tool: "TaskRunnerTool", copied: "Callable[[Wiring], TaskRunnerTool]"
    ) -> Tool:
        """A copy; the agent asks on the terminal if it needs approval."""
        return copied(self)

    def input(
        self, path: str, func: InputFunc | None, person: UserProxyDefinition
    ) -> InputFunc | None:
        """The function; without one, the terminal if the definition has a schema or a default."""
        promises = (person.input_schema, person.expires_in_seconds, person.default_answer)
        if func is not None or promises == (None, None, None):
            return func
        return input_with_form(person, input)
