"""`teamrun api`: the HTTP API alone."""

from teamrun.cli.hand_over import become, check_packages, variables
from teamrun.cli.options import (
    ConfigOption,
    FsyncOption,
    HostOption,
    LogFormatOption,
    LogLevelOption,
    PortOption,
    RedisUrlOption,
    StoreUrlOption,
)

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun api --store-url s3://runs/prod --redis-url redis://127.0.0.1:6379/0"


def command(
    host: HostOption = None,
    port: PortOption = None,
    config: ConfigOption = None,
    store_url: StoreUrlOption = None,
    redis_url: RedisUrlOption = None,
    fsync: FsyncOption = None,
    log_level: LogLevelOption = None,
    log_format: LogFormatOption = None,
) -> None:
    """Serve the HTTP API; workers execute the runs.

    Without --redis-url there is no queue, and the API executes them itself.
    """
    check_packages("api", command="api")
    become("teamrun_api", variables(**locals()))
