"""The tools of a server as a list, by AutoGen's names."""

from typing import TYPE_CHECKING, Generic, Self, TypeVar

from teamrun.tools.mcp.params import (
    McpServerParams,
    SseServerParams,
    StdioServerParams,
    StreamableHttpServerParams,
)
from teamrun.tools.mcp.selection import selected
from teamrun.tools.mcp.server import McpServer
from teamrun.tools.mcp.tool import McpTool

if TYPE_CHECKING:
    import mcp_types

__all__ = [
    "SseMcpToolAdapter",
    "StdioMcpToolAdapter",
    "StreamableHttpMcpToolAdapter",
    "mcp_server_tools",
]

ParamsT = TypeVar(
    "ParamsT", StdioServerParams, SseServerParams, StreamableHttpServerParams, McpServerParams
)


class _McpToolAdapter(McpTool, Generic[ParamsT]):
    """One tool of a server.

    Args:
        server_params: How the server is reached.
        tool: The tool as the SDK describes it.
        server: The server, if other tools use it as well.
    """

    def __init__(
        self,
        server_params: ParamsT,
        tool: "mcp_types.Tool",
        *,
        server: McpServer | None = None,
    ) -> None:
        self._server_params = server_params
        self._tool = tool
        server = server or McpServer(server_params)
        listed = server.listed(tool)
        (found,) = selected([listed], only=None, overrides={}, server=server.name)
        super().__init__(server, listed, name=found.name)

    @classmethod
    async def from_server_params(cls, server_params: ParamsT, tool_name: str) -> Self:
        """The tool of that name.

        Raises:
            McpServerError: The server cannot be reached.
            ValueError: It has no such tool.
        """
        server = McpServer(server_params)
        tools = await server.described_tools()
        tool = next((each for each in tools if each.name == tool_name), None)
        if tool is None:
            known = sorted(each.name for each in tools)
            raise ValueError(f"Tool '{tool_name}' not found, available tools: {known}")
        return cls(server_params, tool, server=server)

    async def close(self) -> None:
        """End the session with the server, and the server if it is a process."""
        await self._server.aclose()


class StdioMcpToolAdapter(_McpToolAdapter[StdioServerParams]):
    """A tool of a server that is a process."""


class SseMcpToolAdapter(_McpToolAdapter[SseServerParams]):
    """A tool of a server behind an address, with the older HTTP transport."""


class StreamableHttpMcpToolAdapter(_McpToolAdapter[StreamableHttpServerParams]):
    """A tool of a server behind an address, with the streamable HTTP transport."""


async def mcp_server_tools(
    server_params: McpServerParams,
) -> list[StdioMcpToolAdapter | SseMcpToolAdapter | StreamableHttpMcpToolAdapter]:
    """All tools of a server. They share one session, which ends after five minutes without use.

    Raises:
        McpServerError: The server cannot be reached.
    """
    server = McpServer(server_params)
    tools = await server.described_tools()
    match server_params:
        case StdioServerParams():
            return [StdioMcpToolAdapter(server_params, each, server=server) for each in tools]
        case SseServerParams():
            return [SseMcpToolAdapter(server_params, each, server=server) for each in tools]
        case StreamableHttpServerParams():
            return [
                StreamableHttpMcpToolAdapter(server_params, each, server=server) for each in tools
            ]
