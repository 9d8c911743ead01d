"""MCP servers behind an address: servers of the SDK over real HTTP on loopback."""

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.support.asgi_server import served

from teamrun.errors import DestinationRefused, McpServerError
from teamrun.tools.mcp import McpServer, SseServerParams, StreamableHttpServerParams
from teamrun.tools.mcp.http import client_for
from teamrun.tools.mcp.server import ServerConduct

mcp_server = pytest.importorskip("mcp.server")

KEY = "canary-of-a-key"


def server_of_sdk() -> Any:
    server = mcp_server.MCPServer("sdk")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    @server.tool()
    def big(size: int) -> str:
        """Return much."""
        return "x" * size

    return server


class Recorder:
    """Keeps the keys of requests, and redirects those to `/elsewhere`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.keys: set[str | None] = set()
        self.redirect = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self.keys.add(Request(scope).headers.get("authorization"))
        if self.redirect:
            response: Response = RedirectResponse(self.redirect, 307)
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def params(transport: str, url: str) -> StreamableHttpServerParams | SseServerParams:
    headers = {"Authorization": f"Bearer {KEY}"}
    if transport == "sse":
        return SseServerParams(url=f"{url}/sse", headers=headers)
    return StreamableHttpServerParams(url=f"{url}/mcp", headers=headers)


def app_of(transport: str) -> Recorder:
    server = server_of_sdk()
    return Recorder(server.sse_app() if transport == "sse" else server.streamable_http_app())


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
async def test_a_server_behind_an_address_gets_the_operators_headers(transport: str) -> None:
    app = app_of(transport)
    async with served(app) as url:
        conduct = ServerConduct(most_characters=1_000)
        server = McpServer(params(transport, url), name="sdk", conduct=conduct)
        tools, _ = await server.list_tools()
        assert [tool.name for tool in tools] == ["add", "big"]
        assert (await server.call_tool("add", {"a": 1, "b": 2})).to_text() == "3"
        with pytest.raises(McpServerError, match="has 2,000 characters"):
            await server.call_tool("big", {"size": 2_000})
        await server.aclose()
    assert app.keys == {f"Bearer {KEY}"}


async def test_a_redirect_to_another_address_is_not_followed_and_no_key_is_sent() -> None:
    app, other = app_of("streamable_http"), app_of("streamable_http")
    async with served(app) as url, served(other) as elsewhere:
        app.redirect = f"{elsewhere}/mcp"
        server = McpServer(params("streamable_http", url), name="sdk")
        with pytest.raises(McpServerError) as caught:
            await server.list_tools()
        assert KEY not in str(caught.value)
        await server.aclose()
    assert other.keys == set()


async def test_a_client_of_one_address_reaches_no_other() -> None:
    app, other = app_of("sse"), app_of("sse")
    async with (
        served(app) as url,
        served(other) as elsewhere,
        client_for(url, {"Authorization": KEY}, None) as client,
    ):
        assert (await client.get(f"{url}/nothing")).status_code == 404
        with pytest.raises(DestinationRefused, match="is registered"):
            await client.get(f"{elsewhere}/nothing")
    assert (app.keys, other.keys) == ({KEY}, set())


async def test_an_address_that_does_not_answer_is_told() -> None:
    server = McpServer(StreamableHttpServerParams(url="http://127.0.0.1:9/mcp"), name="sdk")
    with pytest.raises(McpServerError, match="'sdk' could not be reached"):
        await server.list_tools()


async def test_an_address_that_is_none_is_told() -> None:
    server = McpServer(StreamableHttpServerParams(url="file:///etc/passwd"), name="sdk")
    with pytest.raises(McpServerError, match="must have the form https://host/path"):
        await server.list_tools()
