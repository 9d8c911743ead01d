"""Opens what a worker process needs: its runtime, its metrics and its probes."""

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from teamrun.dispatch.address import scheme_of
from teamrun.errors import UsageError
from teamrun.redis.address import RedisAddress, read_redis_url
from teamrun.runtime import OpenBackends, Runtime, open_backends, open_runtime
from teamrun_worker.health import Pulse, alive, ready
from teamrun_worker.metrics import rendered
from teamrun_worker.pages import Page, listen
from teamrun_worker.settings import WorkerSettings

__all__ = ["open_worker", "redis_of"]


def redis_of(settings: WorkerSettings) -> RedisAddress:
    """The address of the queue.

    Raises:
        UsageError: The setting is missing or invalid.
    """
    if settings.queue is None:
        raise UsageError(
            "Neither TEAMRUN_REDIS_URL nor TEAMRUN_QUEUE_URL is set: a worker needs Redis as its "
            "queue. Set one, for example TEAMRUN_REDIS_URL=redis://127.0.0.1:6379/0, or use "
            "`teamrun serve`, which starts its own."
        )
    if (scheme := scheme_of(settings.queue)) in ("sqs", "azq"):
        raise UsageError(
            f"TEAMRUN_{settings.queue_setting.upper()} is {scheme}://: functions of the cloud "
            "execute the runs of this queue. A worker takes runs from Redis: set redis://.",
            setting=settings.queue_setting,
        )
    return read_redis_url(settings.queue, setting=settings.queue_setting)


@asynccontextmanager
async def open_worker(
    settings: WorkerSettings, *, pulse: Pulse, backends: OpenBackends = open_backends
) -> AsyncGenerator[Runtime, None]:
    """Open the runtime of a worker, which executes runs until it is closed.

    Args:
        settings: The settings.
        pulse: What the probes report.
        backends: Opens the store, the live state and the queue.

    Raises:
        UsageError: A setting or the operator's file is invalid, or the store cannot be used.
        StorageError: The store cannot be opened.
    """
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(
            open_runtime(
                settings,
                environ=os.environ,
                executes=True,
                grace=settings.grace,
                reachable_by=None
                if redis_of(settings).is_local
                else f"the Redis of TEAMRUN_{settings.queue_setting.upper()}",
                name=settings.worker_name,
                backends=backends,
            )
        )
        if settings.metrics_port is not None:
            pages: dict[str, Page] = {
                "/metrics": partial(rendered, runtime.metric_lines, runtime.dispatcher),
                "/healthz": partial(alive, pulse, runtime.dispatcher),
                "/readyz": partial(ready, pulse),
            }
            host, port = settings.metrics_host, settings.metrics_port
            server = await listen(pages, host=host, port=port)
            stack.callback(server.close)
        yield runtime
