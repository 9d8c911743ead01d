"""What a builder asks for each leaf of a team: the point at which durability is put around it.

A path names a leaf by its position: `analysts/analyst`, `outer/inner/agent`,
`analysts/selector` for the model that chooses the speaker.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from teamrun.agents.base import BaseChatAgent
from teamrun.components.building.answers import input_with_form
from teamrun.components.definitions.agents import UserProxyDefinition
from teamrun.core.cancellation import CancellationToken
from teamrun.models.base import ChatCompletionClient
from teamrun.tools.base import Tool

__all__ = ["InputFunc", "PlainWiring", "Wiring"]

InputFunc = Callable[[str], str] | Callable[[str, CancellationToken | None], Awaitable[str]]
"""Asks a person: gets the prompt, gives the answer."""


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

    def input(
        self, path: str, func: InputFunc | None, person: UserProxyDefinition
    ) -> InputFunc | None:
        """The way to ask the person at `path`; None asks on the terminal."""
        ...


class PlainWiring:
    """Returns what it gets: a team in a script, a notebook or a test.

    What only a person can give is asked on the terminal.
    """

    def model(self, path: str, profile: str, client: ChatCompletionClient) -> ChatCompletionClient:
        """The client as it is."""
        return client

    def inner_model(
        self, path: str, profile: str, client: ChatCompletionClient
    ) -> ChatCompletionClient:
        """The client as it is."""
        return client

    def agent(self, path: str, agent: BaseChatAgent) -> BaseChatAgent:
        """The agent as it is."""
        return agent

    def tool(self, path: str, tool: Tool) -> Tool:
        """The tool as it is; the agent asks on the terminal if the tool needs approval."""
        return tool

    def input(
        self, path: str, func: InputFunc | None, person: UserProxyDefinition
    ) -> InputFunc | None:
        """The function as it is; without one, the terminal asks for what the person promises."""
        if func is not None or (person.input_schema is None and person.expires_in_seconds is None):
            return func
        return input_with_form(person, input)
