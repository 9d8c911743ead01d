"""A pool of tools by tags, from which agents get tools for a while."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from teamrun.errors import UsageError
from teamrun.tools.base import Tool

if TYPE_CHECKING:
    from teamrun.agents.assistant import AssistantAgent

__all__ = ["Capabilities"]


class Capabilities:
    """Tools that agents request and release while a team runs.

    An agent's model sees a change from its next call on.

    Args:
        tools: The tools; each has its own `tags`.
    """

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        self._tags: dict[str, frozenset[str]] = {}
        for tool in tools:
            self.register(tool)

    def register(self, tool: Tool, *tags: str) -> None:
        """Add a tool, with tags in addition to its own.

        Raises:
            UsageError: There is a tool of that name.
        """
        if tool.name in self._tools:
            raise UsageError(f"There is a capability {tool.name!r} already; unregister it first.")
        self._tools[tool.name] = tool
        self._tags[tool.name] = frozenset(tags) | frozenset(tool.tags)

    def unregister(self, name: str) -> None:
        """Remove a tool; agents that have it keep it.

        Raises:
            UsageError: There is none of that name.
        """
        if name not in self._tools:
            raise UsageError(f"There is no capability {name!r}; there are {sorted(self._tools)}.")
        del self._tools[name], self._tags[name]

    def find(self, tag: str) -> list[Tool]:
        """The tools with a tag, in the order in which they were added."""
        return [tool for name, tool in self._tools.items() if tag in self._tags[name]]

    def request(self, agent: "AssistantAgent", tag: str) -> list[Tool]:
        """Give an agent the tools with a tag that it lacks; returns these.

        Raises:
            UsageError: No tool has the tag.
        """
        found = self.find(tag)
        if not found:
            known = sorted(frozenset[str]().union(*self._tags.values()))
            raise UsageError(f"No capability has the tag {tag!r}; the tags are {known}.")
        tools = agent.tools
        new = [tool for tool in found if tool not in tools]
        tools.extend(new)
        return new

    def release(self, agent: "AssistantAgent", tag: str) -> None:
        """Take the tools with a tag from an agent."""
        tools = agent.tools
        for tool in self.find(tag):
            if tool in tools:
                tools.remove(tool)
