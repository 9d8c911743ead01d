"""`/mcp`: the teams as tools of the Model Context Protocol, over its streamable HTTP transport."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import APIRouter, Security
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from teamrun.components.resources import TeamSummary
from teamrun_api.context import Api, Call
from teamrun_api.dependencies import KeyAuth

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_TENANT = "teamrun.tenant"
"""The key of a scope with the tenant of its caller."""

McpCaller = Annotated[Call, Security(KeyAuth(), scopes=["runs:read", "runs:write"])]


@router.api_route("/mcp", methods=["GET", "POST", "DELETE"])
async def mcp(call: McpCaller) -> Response:
    """Let the SDK answer the request."""
    return _Handover(await _manager(call), call.tenant)


class _Handover(Response):
    """Passes a request on to the SDK, which sends the response."""

    def __init__(self, manager: "StreamableHTTPSessionManager", tenant: str) -> None:
        super().__init__()
        self._manager = manager
        self._tenant = tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the SDK send its response."""
        scope[_TENANT] = self._tenant
        await self._manager.handle_request(scope, receive, send)


async def _manager(call: Call) -> "StreamableHTTPSessionManager":
    """The SDK's part of the application, made at the first request.

    Raises:
        MissingPackage: The package `mcp` is not installed.
    """
    state: Any = call.request.app.state
    known = cast("asyncio.Task[StreamableHTTPSessionManager] | None", getattr(state, "mcp", None))
    if known is None:
        known = state.mcp = asyncio.create_task(_started(state, call.api))
    try:
        return await asyncio.shield(known)
    except Exception:
        state.mcp = None
        raise


async def _started(state: Any, api: Api) -> "StreamableHTTPSessionManager":
    # Imported late: the SDK takes a second to import, and few clients use it.
    from teamrun.mcp_server import team_server

    async def teams(tenant: str) -> Sequence[TeamSummary]:
        found: list[TeamSummary] = []
        after: str | None = None
        while True:
            page = await api.teams.list(tenant, limit=100, after=after)
            found += page.data
            after = page.next_cursor
            if after is None:
                return found

    def tenant_of(request: Any) -> str:
        return cast("Request", request).scope[_TENANT]

    server = await asyncio.to_thread(
        team_server, api.service, teams, tenant_of=tenant_of, is_closing=api.closing.is_set
    )
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    # Stateless: the next request of a client may reach another process.
    manager = StreamableHTTPSessionManager(server, stateless=True)
    ready = asyncio.Event()
    state.mcp_keeper = asyncio.create_task(_keep(manager, ready, api.closing))
    await ready.wait()
    return manager


async def _keep(
    manager: "StreamableHTTPSessionManager", ready: asyncio.Event, closing: asyncio.Event
) -> None:
    """Keep the SDK's tasks in a task of their own until the server stops."""
    async with manager.run():
        ready.set()
        await closing.wait()
