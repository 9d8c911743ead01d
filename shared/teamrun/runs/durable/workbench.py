"""The tools of an MCP server in a run: the list of them and each call go through the journal."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from teamrun.core.cancellation import CancellationToken
from teamrun.errors import McpServerError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.runs.durable.tools import JournaledTool
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import CallContext, Outcome
from teamrun.runs.log.entries import CallRecord
from teamrun.tools.mcp.selection import Override, SelectedTool, selected
from teamrun.tools.mcp.server import ListedTool, McpServer
from teamrun.tools.mcp.tool import CHANGES, McpTool
from teamrun.tools.result import ToolResult, text_result
from teamrun.tools.schema import ToolSchema
from teamrun.tools.workbench import Workbench

__all__ = ["JournaledWorkbench"]


class JournaledWorkbench(Workbench):
    """The tools of a server for one agent of one run.

    The tools are listed at the first use, and again after a call in which the server, or its
    failure, has shown that the list is outdated. The list is kept as the recorded state of the call
    that asked for it, so a replay and a snapshot have the same tools, whatever the server has now.

    Args:
        server: The server; its sessions are in this process.
        journal: The journal of the run.
        path: The path of the agent.
        only: The tools that the agent gets, by the server's names; None gives it all.
        overrides: Other names and descriptions, by the server's names.
    """

    def __init__(
        self,
        server: McpServer,
        journal: Journal,
        *,
        path: str,
        only: Sequence[str] | None,
        overrides: Mapping[str, Override],
    ) -> None:
        self._server = server
        self._journal = journal
        self._path = path
        self._only = only
        self._overrides = overrides
        self._name = f"mcp:{server.name}"
        self._known: JsonObject | None = None
        self._selected: list[SelectedTool] = []
        if server.conduct.session == "stateful":  # no other execution may use the session
            journal.tools.at_close[self._name] = lambda: server.close(journal)

    async def list_tools(self) -> Sequence[ToolSchema]:
        """The tools, as they were listed last.

        Raises:
            McpServerError: The server cannot be reached, or lacks a tool that the agent needs.
        """
        listed = await self._listed()
        return [self._tool(each, listed).schema for each in self._selected]

    async def call_tool(
        self,
        name: str,
        arguments: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """Call a tool, or return its recorded result.

        Raises:
            ToolError: The call failed; the model receives the text.
            FatalToolError: The run cannot go on.
        """
        listed = await self._listed()
        found = next((each for each in self._selected if each.name == name), None)
        if found is None:
            return text_result(name, f"Tool {name} not found.", is_error=True)
        tool = _Tool(
            self._tool(found, listed), self._journal, path=self._path, session_of=self._name
        )
        states, key = self._journal.tools.states, f"{self._path}/{name}"
        before = states.get(key)
        try:
            return text_result(name, await tool.run_json(arguments or {}, call_id=call_id))
        finally:
            after = states.get(key)
            changed = after != before and after is not None and after.get(CHANGES) is not None
            if changed or tool.failure == McpServerError.code:
                states.pop(self._key, None)

    @property
    def _key(self) -> str:
        return f"{self._path}/{self._name}"

    async def _listed(self) -> JsonObject:
        """The list as it is recorded: `tools` and `changes`."""
        states = self._journal.tools.states
        if self._key not in states:
            position = self._journal.position(self._path, "list")
            record = await self._journal.call(
                self._path, "list", self._name, position, self._perform
            )
            if record.error is not None:
                raise McpServerError(record.error.message, server=self._server.name)
        listed = states[self._key]
        if listed is not self._known:
            tools = [ListedTool(*each) for each in cast("list[list[Any]]", listed["tools"])]
            self._selected = selected(
                tools, only=self._only, overrides=self._overrides, server=self._server.name
            )
            self._known = listed
        return listed

    async def _perform(self, call_context: CallContext) -> Outcome:
        tools, changes = await self._server.list_tools(self._journal)
        return Outcome(state={"tools": [list(each) for each in tools], "changes": changes})

    def _tool(self, found: SelectedTool, listed: JsonObject) -> McpTool:
        return McpTool(
            self._server,
            found.listed,
            name=found.name,
            description=found.description,
            owner=self._journal,
            changes=listed["changes"],
        )


class _Tool(JournaledTool):
    """Keeps the code of the error with which the call has failed, if it has."""

    failure: str | None = None

    async def _call(self, args: JsonMapping, call_id: str | None) -> CallRecord:
        record = await super()._call(args, call_id)
        self.failure = None if record.error is None else record.error.code
        return record
