"""The runtime of an API process, and the application over it.

With a queue, workers execute the runs. Without one this process executes them itself, on the same
event loop: enough for one machine, and for tests.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from teamrun.core.loopback import is_loopback
from teamrun.runtime import OpenBackends, Runtime, open_backends, open_runtime
from teamrun_api.app import create_app
from teamrun_api.settings import ApiSettings

__all__ = ["app_of", "open_api"]


def open_api(
    settings: ApiSettings, *, environ: Mapping[str, str], backends: OpenBackends = open_backends
) -> AbstractAsyncContextManager[Runtime]:
    """The runtime of an API; see `open_runtime`."""
    return open_runtime(
        settings,
        environ=environ,
        executes=False,
        grace=settings.grace,
        reachable_by=None if is_loopback(settings.host) else f"TEAMRUN_HOST={settings.host}",
        backends=backends,
        batch_inputs=settings.batch_inputs,
        input_limit=settings.file_limit_bytes,
    )


def app_of(runtime: Runtime, settings: ApiSettings) -> FastAPI:
    """The application over an open runtime."""
    return create_app(
        service=runtime.service,
        batches=runtime.batches,
        webhooks=runtime.webhook_service,
        teams=runtime.teams,
        threads=runtime.threads,
        settings=settings,
        checks=runtime.checks(),
        live=runtime.live.is_shared,
        run_metrics=runtime.metric_lines,
    )
