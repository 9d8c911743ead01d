"""`teamrun serve`: everything in one."""

import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from teamrun.cli.hand_over import check_packages
from teamrun.cli.options import (
    ConfigOption,
    DataDirOption,
    FsyncOption,
    HostOption,
    LogFormatOption,
    LogLevelOption,
    PortOption,
    RedisUrlOption,
    StoreUrlOption,
)
from teamrun.cli.screen import result, talk, warn
from teamrun.cli.serving.changes import hint_at_changes
from teamrun.cli.serving.imports import check_imports
from teamrun.cli.serving.service import serve
from teamrun.cli.serving.settings import ServeSettings, with_port
from teamrun.cli.values import finite
from teamrun.client.address import DEFAULT_URL
from teamrun.components.fallbacks import refuse_fallbacks
from teamrun.components.registry import Registry
from teamrun.components.resources import TeamSummary
from teamrun.components.team_file import load_registry
from teamrun.core.loopback import is_loopback
from teamrun.errors import DefinitionError
from teamrun.logs import configure_logging
from teamrun.redis.address import read_redis_url
from teamrun.settings import load_settings
from teamrun.storage.address import check_shareable

__all__ = ["EXAMPLE", "command", "introduce"]

EXAMPLE = "teamrun serve --config teamrun.yaml --port 8080"


def command(
    host: HostOption = None,
    port: PortOption = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    store_url: StoreUrlOption = None,
    redis_url: RedisUrlOption = None,
    grace_seconds: Annotated[
        float | None,
        typer.Option(
            "--grace-seconds",
            envvar="TEAMRUN_GRACE_SECONDS",
            callback=finite,
            help="Time for calls in progress to complete at the end [5].",
        ),
    ] = None,
    fsync: FsyncOption = None,
    log_level: LogLevelOption = None,
    log_format: LogFormatOption = None,
) -> None:
    """Serve everything from this machine: the API, a worker, and an embedded Valkey.

    Prints the URL of the API on stdout once it accepts runs. Ctrl-C stops all processes; the runs
    are kept for the next start. With --redis-url, that server is used instead of Valkey.
    """
    given = locals()
    given["log_level"] = log_level or "warning"
    given["log_format"] = log_format or ("text" if sys.stderr.isatty() else "json")
    check_packages("api", "worker", command="serve")
    settings = with_port(load_settings(ServeSettings, **given))
    configure_logging(level=settings.log_level, form=settings.log_format)
    check_shareable(settings.store_url)
    if settings.redis_url is not None:
        read_redis_url(settings.redis_url)
    registry, imported = _read(settings.config)
    _check_scripts(registry, settings)
    talk(f"Data folder: {settings.data_dir.absolute()}")

    def ready() -> None:
        result(settings.url)
        introduce(registry.teams(), settings.url)
        talk("Ready. Ctrl-C ends it.")

    def slow() -> None:
        talk(f"Not ready yet; {settings.url}/readyz lists what is missing.")

    async def serving() -> int:
        hinting = asyncio.create_task(hint_at_changes(settings.config, imported))
        try:
            return await serve(settings, ready=ready, slow=slow)
        finally:
            hinting.cancel()

    sys.exit(asyncio.run(serving()))


def _read(config: Path) -> tuple[Registry, list[Path]]:
    """Report all errors at once that the API or the worker would report later.

    Returns:
        The registry, and the Python files beside the definition file that it needs.
    """
    try:
        registry = load_registry(config, environ=os.environ)
    except DefinitionError as error:
        if error.data.get("problems"):
            check_imports(config)
        raise
    return registry, check_imports(config) if registry.imports_code() else []


def _check_scripts(registry: Registry, settings: ServeSettings) -> None:
    """Report errors of the API or the worker here, before a process is started."""
    reachable_by: str | None = None
    if not is_loopback(settings.host):
        reachable_by = f"TEAMRUN_HOST={settings.host}"
    elif settings.redis_url is not None and not read_redis_url(settings.redis_url).is_local:
        reachable_by = "the Redis of TEAMRUN_REDIS_URL"
    refuse_fallbacks(registry, reachable_by=reachable_by, allowed=settings.allow_scripted)


def introduce(teams: Sequence[TeamSummary], url: str) -> None:
    """Print the teams, the model behind each of their profiles, and a next command."""
    for team in teams:
        talk(f"Team {team.name}: {', '.join(team.agents)}")
    uses = {use.profile: use for team in teams for use in team.models}
    for use in uses.values():
        talk(f"Model {use.answerer}")
    for use in uses.values():
        if use.missing is not None or use.is_scripted_fallback:
            warn(f"{use.note} Set it and start again.")
    if teams:
        talk(f"Next: {_submit_command(teams[0].name, url)}")


def _submit_command(team: str, url: str) -> str:
    where = "" if url == DEFAULT_URL else f" --url {url}"
    return f'teamrun submit {shlex.quote(team)} "Your task"{where} --watch'
