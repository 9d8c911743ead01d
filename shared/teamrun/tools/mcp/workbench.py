"""The tools, resources and prompts of a server, for an agent in a program."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from teamrun.core.cancellation import CancellationToken
from teamrun.errors import TeamrunError
from teamrun.json_types import JsonMapping
from teamrun.tools.approval import with_approval
from teamrun.tools.mcp.params import McpServerParams
from teamrun.tools.mcp.selection import Override, checked_overrides, selected
from teamrun.tools.mcp.server import ListedTools, McpServer, ServerConduct
from teamrun.tools.mcp.tool import McpTool
from teamrun.tools.result import ToolResult, error_text, text_result
from teamrun.tools.schema import ToolSchema
from teamrun.tools.workbench import ToolOverride, Workbench

if TYPE_CHECKING:
    import mcp_types
    from mcp import Client

    from teamrun.models.base import ChatCompletionClient

__all__ = ["McpWorkbench", "ServerWorkbench"]

T = TypeVar("T")


class ServerWorkbench(Workbench):
    """Tools of a server that others may use as well; nothing is started or ended with it.

    Args:
        server: The server.
        only: The names of the tools to offer, as the server calls them; None offers all.
        overrides: Other names and descriptions, by the server's names.
    """

    def __init__(
        self,
        server: McpServer,
        *,
        only: Sequence[str] | None = None,
        overrides: Mapping[str, Override] | None = None,
    ) -> None:
        self._server = server
        self._only = only
        self._tool_overrides = dict(overrides or {})
        self._listed: ListedTools | None = None

    async def list_tools(self) -> Sequence[ToolSchema]:
        """The tools of the server as they are now."""
        return [tool.schema for tool in await self._tools()]

    async def _tools(self) -> list[McpTool]:
        server, known = self._server, self._listed
        is_current = known is not None and known.changes == server.changes(self)
        if known is None or not (is_current and server.announces_changes(self)):
            known = self._listed = await server.list_tools(self)
        return [
            McpTool(server, listed, name=name, description=description, owner=self)
            for listed, name, description in selected(
                known.tools, only=self._only, overrides=self._tool_overrides, server=server.name
            )
        ]

    async def call_tool(
        self,
        name: str,
        arguments: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """Call a tool; an exception becomes a result with `is_error`."""
        try:
            tools = await self._tools()
            tool = next((each for each in tools if name in (each.name, each.listed.name)), None)
            if tool is None:
                return text_result(name, f"Tool {name} not found.", is_error=True)
            if tool.needs_approval:
                text = await with_approval(tool).run_json(arguments or {}, cancellation_token)
                return text_result(name, tool.return_value_as_string(text))
            result = await tool.call(arguments or {}, cancellation_token)
        except TeamrunError as error:  # outside a run, the loss of a session is told as well
            return text_result(name, error_text(error), is_error=True)
        return result.model_copy(update={"name": name})

    async def stop(self) -> None:
        """End the session, if it is the workbench's own."""
        self._listed = None
        if self._server.conduct.session == "stateful":
            self._server.close(self)

    async def reset(self) -> None:
        """End the session, if it is the workbench's own; the next use starts a new one."""
        await self.stop()


class McpWorkbench(ServerWorkbench):
    """The tools of one MCP server; `async with` starts the server, or the first use does.

    The session is the workbench's own. It ends with `stop`, or with the event loop.

    Args:
        server_params: How the server is reached.
        tool_overrides: Other names or descriptions, by the server's names.
        model_client: Answers the server's requests to a model (sampling); None refuses them.
        tools: The names of the tools to offer; None offers all.
        roots: Folders that the server is told about.

    Raises:
        ValueError: Two overrides give the same name.
        MissingPackage: The package `mcp` is not installed.
    """

    def __init__(
        self,
        server_params: McpServerParams,
        tool_overrides: Mapping[str, ToolOverride] | None = None,
        model_client: "ChatCompletionClient | None" = None,
        *,
        tools: Sequence[str] | None = None,
        roots: Sequence[str] = (),
    ) -> None:
        self._server_params = server_params
        checked_overrides(tool_overrides or {})
        self._model_client = model_client
        sampling = None
        if model_client is not None:
            # Imported late: few servers ask a model.
            from teamrun.tools.mcp.sampling import sampling_by

            sampling = sampling_by(model_client)
        conduct = ServerConduct(session="stateful", roots=tuple(roots))
        super().__init__(
            McpServer(server_params, conduct=conduct, sampling=sampling),
            only=None if tools is None else tuple(tools),
            overrides=tool_overrides,
        )

    @property
    def server_params(self) -> McpServerParams:
        """How the server is reached."""
        return self._server_params

    @property
    def server_info(self) -> "mcp_types.Implementation | None":
        """What the server says of itself; None if it says nothing or is not connected."""
        return self._server.info(self)

    async def list_resources(self) -> "mcp_types.ListResourcesResult":
        """The resources of the server: the first page.

        Raises:
            McpServerError: It cannot be reached, or has none.
        """
        return await self._ask("list its resources", lambda client: client.list_resources())

    async def list_resource_templates(self) -> "mcp_types.ListResourceTemplatesResult":
        """The templates of resources: the first page.

        Raises:
            McpServerError: The server cannot be reached, or has none.
        """
        return await self._ask(
            "list its resource templates", lambda client: client.list_resource_templates()
        )

    async def read_resource(self, uri: str) -> "mcp_types.ReadResourceResult":
        """A resource.

        Raises:
            McpServerError: The server cannot be reached, or has no such resource.
        """
        return await self._ask(f"read {uri!r}", lambda client: client.read_resource(uri))

    async def list_prompts(self) -> "mcp_types.ListPromptsResult":
        """The prompts of the server: the first page.

        Raises:
            McpServerError: It cannot be reached, or has none.
        """
        return await self._ask("list its prompts", lambda client: client.list_prompts())

    async def get_prompt(
        self, name: str, arguments: dict[str, str] | None = None
    ) -> "mcp_types.GetPromptResult":
        """A prompt with its arguments filled in.

        Raises:
            McpServerError: The server cannot be reached, or refuses.
        """
        return await self._ask(
            f"return the prompt {name!r}", lambda client: client.get_prompt(name, arguments)
        )

    async def _ask(self, what: str, act: "Callable[[Client], Awaitable[T]]") -> T:
        return await self._server.ask(act, owner=self, what=what)

    async def start(self) -> None:
        """Start the server.

        Raises:
            McpServerError: It cannot be started or reached.
        """
        await self._tools()

    async def stop(self) -> None:
        """End the session, and the server if it is a process."""
        self._listed = None
        await self._server.aclose()

    async def save_state(self) -> JsonMapping:
        """Nothing: the state of a session is the server's."""
        return {"type": "McpWorkBenchState"}

    async def load_state(self, state: JsonMapping) -> None:
        """Nothing is to be loaded."""
