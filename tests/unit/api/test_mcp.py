"""`/mcp` with the SDK's client over real HTTP."""

import asyncio
from typing import Any

import pytest
from tests.support.api import World, key, world
from tests.support.asgi_server import served

from teamrun.tools.mcp import McpServer, StreamableHttpServerParams
from teamrun_api.app import api_of

mcp = pytest.importorskip("mcp")


def server_at(url: str, token: str | None = None) -> McpServer:
    headers = None if token is None else {"Authorization": f"Bearer {token}"}
    return McpServer(StreamableHttpServerParams(url=f"{url}/mcp", headers=headers), name="api")


async def executing(w: World, work: Any) -> Any:
    """The result of work that waits for a run, which is executed meanwhile."""
    task = asyncio.create_task(work)
    await asyncio.wait_for(w.mailbox.arrived.wait(), 50)
    await w.execute()
    return await asyncio.wait_for(task, 50)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_team_is_called_by_clients_of_every_version(mode: str) -> None:
    told: list[str | None] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with world() as w, served(w.app) as url:
        async with mcp.Client(f"{url}/mcp", mode=mode) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert "writers" in names
            result = await executing(
                w, client.call_tool("writers", {"task": "Note"}, progress_callback=progress)
            )
        assert result.content[0].text == "It is noted again. DONE"
        assert "writer: It is noted again. DONE" in told
        api_of(w.app).closing.set()


async def test_keys_and_tenants_are_those_of_the_api() -> None:
    both = ("runs:read", "runs:write")
    keys = [key("token-one", *both, tenant="one"), key("token-two", "runs:read", name="reader")]
    async with world(api_keys=keys) as w, served(w.app) as url:
        server = server_at(url, "token-one")
        tools, _ = await server.list_tools()
        assert "writers" in [tool.name for tool in tools]
        result = await executing(w, server.call_tool("writers", {"task": "Note"}))
        assert not result.is_error
        await server.aclose()
        for token in (None, "wrong", "token-two"):
            refused = server_at(url, token)
            with pytest.raises(Exception, match="could not be reached") as caught:
                await refused.list_tools()
            assert "token" not in str(caught.value)
        api_of(w.app).closing.set()
