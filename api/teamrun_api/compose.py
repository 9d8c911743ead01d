"""The runtime of an API process.

With a queue, workers execute the runs. Without one this process executes them itself, on the same
event loop: enough for one machine, and for tests.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from teamrun.core.loopback import is_loopback
from teamrun.runtime import OpenBackends, Runtime, open_backends, open_runtime
from teamrun_api.settings import ApiSettings

__all__ = ["open_api"]


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
