"""Options that several commands share; each is an environment variable, too."""

from pathlib import Path
from typing import Annotated

import typer

from teamrun.cli.values import header_text

__all__ = [
    "ApiKeyOption",
    "ConfigOption",
    "DataDirOption",
    "FsyncOption",
    "HostOption",
    "JsonOption",
    "LogFormatOption",
    "LogLevelOption",
    "PortOption",
    "RedisUrlOption",
    "StoreUrlOption",
    "UrlOption",
]

UrlOption = Annotated[str, typer.Option("--url", envvar="TEAMRUN_URL", help="URL of the API.")]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        envvar="TEAMRUN_API_KEY",
        callback=header_text,
        help="A key, if the API needs one.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json/--no-json", envvar="TEAMRUN_JSON", help="Print JSON.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", envvar="TEAMRUN_CONFIG", help="The definition file [teamrun.yaml]."
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", envvar="TEAMRUN_DATA_DIR", help="The folder of all data [.teamrun]."
    ),
]
StoreUrlOption = Annotated[
    str | None,
    typer.Option(
        "--store-url",
        envvar="TEAMRUN_STORE_URL",
        help="Storage of runs: file:///folder or s3://bucket/prefix.",
    ),
]
RedisUrlOption = Annotated[
    str | None,
    typer.Option(
        "--redis-url",
        envvar="TEAMRUN_REDIS_URL",
        help="A Redis or Valkey server: redis://, rediss:// or unix://.",
    ),
]
FsyncOption = Annotated[
    bool | None,
    typer.Option(
        "--fsync/--no-fsync",
        envvar="TEAMRUN_FSYNC",
        help="Make writes survive a power failure (slower).",
    ),
]
HostOption = Annotated[
    str | None,
    typer.Option("--host", envvar="TEAMRUN_HOST", help="Address to listen on [127.0.0.1]."),
]
PortOption = Annotated[
    int | None,
    typer.Option("--port", "-p", envvar="TEAMRUN_PORT", help="Port to listen on [8080]."),
]
LogLevelOption = Annotated[
    str | None,
    typer.Option("--log-level", envvar="TEAMRUN_LOG_LEVEL", help="debug, info, warning or error."),
]
LogFormatOption = Annotated[
    str | None, typer.Option("--log-format", envvar="TEAMRUN_LOG_FORMAT", help="json or text.")
]
