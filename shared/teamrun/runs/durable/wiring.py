"""The wrappers that make a team durable; the team itself does not depend on them."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from teamrun.agents.base import BaseChatAgent
from teamrun.components.building.wiring import InputFunc, PlainWiring, Wiring
from teamrun.components.definitions.agents import UserProxyDefinition
from teamrun.core.behaviour import has_behaviour
from teamrun.core.cancellation import CancellationToken
from teamrun.json_types import JsonMapping
from teamrun.models.base import ChatCompletionClient
from teamrun.models.prices import Price, price_of
from teamrun.models.with_arguments import with_arguments
from teamrun.runs.durable.agents import InnerModel, JournaledAgent
from teamrun.runs.durable.models import JournaledModel, PriceOf
from teamrun.runs.durable.people import ask_person
from teamrun.runs.durable.tools import ApprovedDelegate, JournaledTool
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import Question
from teamrun.tools.base import Tool

if TYPE_CHECKING:  # a team without such a tool does not need its module
    from teamrun.components.definitions.mcp import McpWorkbenchDefinition
    from teamrun.tools.agent_tool import TaskRunnerTool
    from teamrun.tools.mcp.server import McpServer
    from teamrun.tools.workbench import Workbench

__all__ = ["JournalWiring"]


def _by_model(profile: str, model: str | None) -> Price | None:
    return price_of(model)


_NO_OPTIONS: JsonMapping = {}


class JournalWiring:
    """Supplies a team builder with the wrapped parts of a team that runs as a job."""

    def __init__(
        self,
        journal: Journal,
        *,
        prices: PriceOf = _by_model,
        options: JsonMapping = _NO_OPTIONS,
    ) -> None:
        self._journal = journal
        self._prices = prices
        self._options = options

    def model(self, path: str, profile: str, client: ChatCompletionClient) -> ChatCompletionClient:
        """A client whose calls are recorded."""
        client = with_arguments(client, self._options)
        return JournaledModel(
            client, self._journal, path=path, profile=profile, prices=self._prices
        )

    def inner_model(
        self, path: str, profile: str, client: ChatCompletionClient
    ) -> ChatCompletionClient:
        """A client of a custom agent, whose calls are recorded inside its turn."""
        client = with_arguments(client, self._options)
        return InnerModel(client, self._journal, path=path, profile=profile, prices=self._prices)

    def agent(self, path: str, agent: BaseChatAgent) -> BaseChatAgent:
        """A custom agent whose turns are recorded."""
        return JournaledAgent(agent, self._journal, path=path)

    def tool(self, path: str, tool: Tool) -> Tool:
        """A tool whose calls are recorded."""
        return JournaledTool(tool, self._journal, path=path)

    def workbench(
        self, path: str, server: "McpServer", definition: "McpWorkbenchDefinition"
    ) -> "Workbench":
        """The tools of an MCP server: the list and each call are recorded."""
        # Imported late: few teams use a server.
        from teamrun.runs.durable.workbench import JournaledWorkbench

        return JournaledWorkbench(
            server,
            self._journal,
            path=path,
            only=definition.tools,
            overrides=definition.tool_overrides or {},
        )

    def delegate(
        self, path: str, tool: "TaskRunnerTool", copied: "Callable[[Wiring], TaskRunnerTool]"
    ) -> Tool:
        """A copy that is run code: the calls inside of it are recorded, as those of the team are.

        In behaviour 1 a call of it was one call, and what happened inside of it was not recorded.
        """
        if not has_behaviour(2):
            return JournaledTool(copied(PlainWiring()), self._journal, path=path)
        made = copied(JournalWiring(self._journal))
        return ApprovedDelegate(made, self._journal, path=path) if tool.needs_approval else made

    def input(
        self, path: str, func: InputFunc | None, person: UserProxyDefinition
    ) -> InputFunc | None:
        """A function that asks a person, who answers over HTTP."""
        seconds = person.expires_in_seconds
        expires_in = None if seconds is None else timedelta(seconds=seconds)

        async def ask(prompt: str, token: CancellationToken | None = None) -> str:
            question = Question(
                agent=path,
                type="input",
                prompt=prompt,
                schema=person.input_schema,
                expires_in=expires_in,
            )
            return await ask_person(self._journal, question, default=person.default_answer)

        return ask
