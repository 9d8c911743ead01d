"""Serves the HTTP API, from its settings to its exit status."""

import argparse
import asyncio
import gc
import logging
import os
import sys
from collections.abc import Sequence

from teamrun.errors import TeamrunError, UsageError
from teamrun.logs import configure_logging
from teamrun.runtime import OpenBackends, open_backends
from teamrun.settings import load_settings, unknown_variables
from teamrun_api.auth import Keyring
from teamrun_api.compose import app_of, open_api
from teamrun_api.hosts import check_bind
from teamrun_api.server import Server
from teamrun_api.settings import ApiSettings

__all__ = ["main"]

logger = logging.getLogger(__name__)

# Requests leave few reference cycles; frequent collection costs more than it frees.
GC_THRESHOLDS = (50_000, 20, 100)


def main(arguments: Sequence[str] | None = None, *, backends: OpenBackends = open_backends) -> int:
    """Serve until a signal stops the process; the exit status is 2 if settings are invalid.

    Args:
        arguments: Of the command line; by default those of this process.
        backends: Opens store, live state and queue.
    """
    given = _parser().parse_args(arguments)
    try:
        settings = load_settings(ApiSettings, host=given.host, port=given.port)
    except UsageError as error:
        sys.stderr.write(f"teamrun api: {error}\n")
        return 2
    configure_logging(level=settings.log_level, form=settings.log_format)
    for fault in unknown_variables(os.environ):
        extra = {"action": "settings.variable_unknown", "error": fault}
        logger.warning("An environment variable is unknown", extra=extra)
    try:
        check_bind(settings.host, Keyring(settings.api_keys))
        return asyncio.run(_serve(settings, backends))
    except UsageError as error:
        data = {"action": "api.misconfigured", "error": str(error)}
        logger.error("The configuration of the API is invalid", extra=data)
        return 2
    except TeamrunError as error:
        data = {"action": "api.failed", "error": str(error)}
        logger.error("The API could not start", extra=data)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m teamrun_api", description="Serve the HTTP API of Teamrun."
    )
    parser.add_argument("--host", help="address to listen on (TEAMRUN_HOST, 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (TEAMRUN_PORT, 8080)")
    return parser


async def _serve(settings: ApiSettings, backends: OpenBackends) -> int:
    async with open_api(settings, environ=os.environ, backends=backends) as runtime:
        app = app_of(runtime, settings)
        # Not collected before: the imports leave some 800 objects that nothing refers to.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.enable()
        server = Server(app, host=settings.host, port=settings.port)
        await server.serve()
        return 0 if server.started else 1
