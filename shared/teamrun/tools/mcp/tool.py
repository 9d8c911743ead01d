"""One tool of a server."""

import hashlib
from typing import Any

from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ToolError
from teamrun.json_types import JsonMapping
from teamrun.tools.base import Tool
from teamrun.tools.context import ToolContext
from teamrun.tools.mcp.server import ListedTool, McpServer
from teamrun.tools.result import ImageResultContent, TextResultContent, ToolResult
from teamrun.tools.schema import ToolSchema

__all__ = ["CHANGES", "McpTool"]

CHANGES = "tools_changed"
"""The key of a call's state: how often the server's tools had changed, if its list is outdated."""


class McpTool(Tool):
    """A tool of a server.

    Args:
        server: The server.
        listed: The tool as the server describes it.
        name: Its name for models; by default the server's.
        description: Its description for models; by default the server's.
        owner: Whose session it uses, if the server is stateful.
        changes: How often the tools had changed when they were listed.
    """

    def __init__(
        self,
        server: McpServer,
        listed: ListedTool,
        *,
        name: str | None = None,
        description: str | None = None,
        owner: object = None,
        changes: int | None = None,
    ) -> None:
        super().__init__(
            name or listed.name, listed.description if description is None else description
        )
        conduct = server.conduct
        self.effects = listed.effects
        self.on_unknown = conduct.on_unknown
        self.session = conduct.session
        self.on_lost = conduct.on_lost
        self.needs_approval = conduct.approval
        self.listed = listed
        self._server = server
        self._owner = owner
        self._changes = changes

    @property
    def schema(self) -> ToolSchema:
        """The tool as a model sees it."""
        return ToolSchema(
            name=self.name,
            description=self.description,
            parameters=dict(self.listed.parameters),  # pyright: ignore[reportArgumentType] - any JSON schema
        )

    async def call(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        context: ToolContext | None = None,
    ) -> ToolResult:
        """Call the tool; the result may have `is_error`.

        Raises:
            McpServerError: The server cannot be reached, refuses, or returns too much.
            SessionLost: The session was lost.
            ToolTimeout: The server did not answer in time.
        """
        progress = None if context is None else context.progress
        try:
            with cancelled_by(cancellation_token):
                result = await self._server.call_tool(
                    self.listed.name,
                    args,
                    owner=self._owner,
                    effects=self.effects,
                    progress=progress,
                )
        finally:
            changes = self._server.changes(self._owner)
            if context is not None and self._changes is not None and changes != self._changes:
                context.state[CHANGES] = changes
        return result.model_copy(update={"name": self.name})

    async def run_json(
        self,
        args: JsonMapping,
        cancellation_token: CancellationToken | None = None,
        *,
        call_id: str | None = None,
        context: ToolContext | None = None,
    ) -> Any:
        """Call the tool. In a run, images become artifacts.

        Raises:
            ToolError: The result is an error, the server failed, or the session was lost.
        """
        result = await self.call(args, cancellation_token, context)
        if context is not None and context.run_id:
            result = _stored(result, context)
        if result.is_error:
            raise ToolError(self.return_value_as_string(result))
        return result

    def return_value_as_string(self, value: Any) -> str:
        """The parts of a result, one to a line; `[image]` in place of an image."""
        if isinstance(value, ToolResult):
            return value.to_text("[image]")
        return super().return_value_as_string(value)


def _stored(result: ToolResult, context: ToolContext) -> ToolResult:
    """The result with a text in place of each image, which becomes an artifact."""
    call = hashlib.sha256(context.call_id.encode()).hexdigest()[:12]
    parts: list[Any] = []
    for number, part in enumerate(result.result):
        if isinstance(part, ImageResultContent):
            image = part.content
            name = f"{result.name[:80]}-{call}-{number}.{image.media_type.rpartition('/')[2]}"
            context.artifacts.write(name, image.data, image.media_type)
            part = TextResultContent(content=f"[{image.media_type}, stored as artifact {name}]")
        parts.append(part)
    return result.model_copy(update={"result": parts})
