"""`teamrun serve`: everything in one."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

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
from teamrun.cli.screen import result, talk
from teamrun.cli.serving.service import ServeSettings, serve
from teamrun.components.config import load_registry
from teamrun.logs import configure_logging
from teamrun.settings import load_settings

__all__ = ["EXAMPLE", "command"]

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
            help="How long calls under way may take at the end [5].",
        ),
    ] = None,
    fsync: FsyncOption = None,
    log_level: LogLevelOption = None,
    log_format: LogFormatOption = None,
) -> None:
    """Serve everything from this machine: the API, a worker, and a Valkey of its own.

    Prints the URL of the API on stdout once it takes runs. Ctrl-C ends it and leaves nothing
    behind; a later start finds the runs. With --redis-url that server is used instead.
    """
    given = locals()
    given["log_level"] = log_level or "warning"
    given["log_format"] = log_format or ("text" if sys.stderr.isatty() else "json")
    settings = load_settings(ServeSettings, **given)
    configure_logging(level=settings.log_level, form=settings.log_format)
    missing = _missing_models(settings.config)
    talk(f"Data folder: {settings.data_dir.absolute()}")

    def ready() -> None:
        result(settings.url)
        for note in missing:
            talk(note)
        talk("Ready. Ctrl-C ends it.")

    def slow() -> None:
        talk(f"Not ready yet; {settings.url}/readyz says what is missing.")

    sys.exit(asyncio.run(serve(settings, ready=ready, slow=slow)))


def _missing_models(config: Path) -> list[str]:
    """What the teams of the file still need before they can run.

    Reading the file here says what is wrong with it once, before any process has started.
    """
    teams = load_registry(config, environ=os.environ).teams()
    uses = {use.profile: use for team in teams for use in team.models}
    return [use.note for use in uses.values() if use.missing is not None]
