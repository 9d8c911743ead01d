"""Copies of agents and teams that exist already: one for each run that they take part in.

An agent or a team in a tool is one object in its process. It keeps its conversation, so runs must
not share it.
"""

from typing import TYPE_CHECKING, Protocol

from teamrun.models.base import ChatCompletionClient
from teamrun.tools.base import Tool

if TYPE_CHECKING:
    from teamrun.agents.user_proxy import InputFunc

__all__ = ["Leaves"]


class Leaves(Protocol):
    """Returns each leaf of an agent or a team as its copy uses it."""

    def model(self, path: str, client: ChatCompletionClient) -> ChatCompletionClient:
        """The client of the agent at `path`."""
        ...

    def tool(self, path: str, tool: Tool) -> Tool:
        """A tool of the agent at `path`."""
        ...

    def input(self, path: str, agent: str, func: "InputFunc | None") -> "InputFunc | None":
        """The function that asks the person at `path`; None asks at the terminal."""
        ...
