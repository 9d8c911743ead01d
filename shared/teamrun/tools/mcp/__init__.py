"""MCP: the tools, resources and prompts of servers of the Model Context Protocol.

Above it: agents, which know only `Workbench`, and the journal of a run. Below it: the official SDK
(the extra `mcp`), which is imported when a server is first used. The protocol:
https://modelcontextprotocol.io/specification.

`server.py` has the sessions with one server, `connection.py` one session, `transport.py` the ways
to reach a server, `workbench.py` what an agent in a program gets.
"""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.tools.mcp.adapters import (
        SseMcpToolAdapter,
        StdioMcpToolAdapter,
        StreamableHttpMcpToolAdapter,
        mcp_server_tools,
    )
    from teamrun.tools.mcp.params import (
        McpServerParams,
        SseServerParams,
        StdioServerParams,
        StreamableHttpServerParams,
    )
    from teamrun.tools.mcp.server import McpServer
    from teamrun.tools.mcp.tool import McpTool
    from teamrun.tools.mcp.workbench import McpWorkbench

__all__ = [
    "McpServer",
    "McpServerParams",
    "McpTool",
    "McpWorkbench",
    "SseMcpToolAdapter",
    "SseServerParams",
    "StdioMcpToolAdapter",
    "StdioServerParams",
    "StreamableHttpMcpToolAdapter",
    "StreamableHttpServerParams",
    "mcp_server_tools",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".adapters": (
            "SseMcpToolAdapter",
            "StdioMcpToolAdapter",
            "StreamableHttpMcpToolAdapter",
            "mcp_server_tools",
        ),
        ".params": (
            "McpServerParams",
            "SseServerParams",
            "StdioServerParams",
            "StreamableHttpServerParams",
        ),
        ".server": ("McpServer",),
        ".tool": ("McpTool",),
        ".workbench": ("McpWorkbench",),
    },
)
