"""`teamrun mcp`: the teams of the definition file as an MCP server on standard input and output."""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from teamrun.cli.options import ConfigOption
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.core.main_loop import run_main
from teamrun.core.optional import require
from teamrun.live.memory import MemoryLive
from teamrun.runtime import Backends, compose
from teamrun.settings import CommonSettings, load_settings
from teamrun.storage.memory import MemoryStore
from teamrun.storage.open import open_store

if TYPE_CHECKING:
    from teamrun.components.resources import TeamSummary

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun mcp"

_TENANT = "default"


def command(
    config: ConfigOption = None,
    store: Annotated[
        str | None,
        typer.Option(
            envvar="TEAMRUN_MCP_STORE",
            help="Folder or URL of the storage that keeps the runs. By default they are kept in"
            " memory and end with the command. No other process may use it.",
        ),
    ] = None,
) -> None:
    """Serve the teams to a client of the Model Context Protocol that starts this command.

    Each team is a tool. A service has the same tools at `/mcp`.
    """
    require("mcp", extra="mcp", needed_by="teamrun mcp", lowest=(2,))
    settings = load_settings(CommonSettings, config=config)
    registry = load_registry(settings.config, environ=os.environ, imports=True)
    registry.preload()
    run_main(_serve(registry, store))


async def _serve(registry: Registry, store_url: str | None) -> None:
    from mcp.server.stdio import stdio_server

    from teamrun.mcp_server import team_server

    store = MemoryStore() if store_url is None else open_store(store_url)
    runtime = compose(Backends(store, MemoryLive(), None), registry)
    assert runtime.executor is not None, "a process without a queue executes its runs"
    runtime.executor.start()

    async def teams(_: str) -> "Sequence[TeamSummary]":
        return registry.teams()

    server = team_server(runtime.service, teams, tenant_of=lambda _: _TENANT)
    try:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())
    finally:
        await runtime.shutdown(timedelta())
        await store.close()
        await registry.close()
