"""`teamrun worker`: one worker alone."""

from pathlib import Path
from typing import Annotated

import typer

from teamrun.cli.hand_over import become, check_packages, variables
from teamrun.cli.options import (
    ConfigOption,
    FsyncOption,
    LogFormatOption,
    LogLevelOption,
    RedisUrlOption,
    StoreUrlOption,
)
from teamrun.cli.values import finite

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun worker --max-runs 500 --redis-url redis://127.0.0.1:6379/0"


def command(
    config: ConfigOption = None,
    store_url: StoreUrlOption = None,
    redis_url: RedisUrlOption = None,
    queues: Annotated[
        str | None,
        typer.Option(
            "--queues",
            envvar="TEAMRUN_QUEUES",
            metavar="NAMES",
            help="The queues to consume, separated by commas [interactive,batch].",
        ),
    ] = None,
    max_runs: Annotated[
        int | None,
        typer.Option(
            "--max-runs", envvar="TEAMRUN_MAX_RUNS", help="Maximum number of concurrent runs [200]."
        ),
    ] = None,
    grace_seconds: Annotated[
        float | None,
        typer.Option(
            "--grace-seconds",
            envvar="TEAMRUN_GRACE_SECONDS",
            callback=finite,
            help="Time for calls in progress to complete after SIGTERM [20].",
        ),
    ] = None,
    heartbeat: Annotated[
        Path | None,
        typer.Option(
            "--heartbeat",
            envvar="TEAMRUN_HEARTBEAT",
            help="A file to touch while consuming; older than a minute means a hang.",
        ),
    ] = None,
    fsync: FsyncOption = None,
    log_level: LogLevelOption = None,
    log_format: LogFormatOption = None,
) -> None:
    """Take runs from the queue and execute them, until SIGTERM."""
    check_packages("worker", command="worker")
    become("teamrun_worker", variables(**locals()))
