"""The error of a server."""

from teamrun.errors import ToolError

__all__ = ["McpServerError"]


class McpServerError(ToolError):
    """An MCP server cannot be started or reached, or does not do what it is asked.

    Inside a call, the model receives the text. If the tools cannot be listed, the run fails.
    """

    code = "mcp_server_failed"
