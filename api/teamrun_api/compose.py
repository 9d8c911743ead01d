"""Makes the parts of an API process from its settings.

With Redis, runs are executed by workers. Without it this process executes them itself, on the
same event loop: enough for one machine without a server of that kind, and for tests.
"""

import asyncio
import os
import platform
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from teamrun.components.fallbacks import check_fallbacks
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.core.exposition import MetricLines
from teamrun.core.loopback import is_loopback
from teamrun.dispatch.base import Dispatcher
from teamrun.dispatch.celery import CeleryDispatcher
from teamrun.dispatch.local import LocalDispatcher
from teamrun.dispatch.persistent import PersistentDispatcher
from teamrun.live.base import Live
from teamrun.live.open import open_live
from teamrun.redis.address import key_prefix, read_redis_url
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.reaper import Reaper
from teamrun.runs.service.service import RunService
from teamrun.storage.address import store_namespace
from teamrun.storage.base import ObjectStore
from teamrun.storage.open import open_store
from teamrun.storage.proof import prove_store
from teamrun_api.readiness import Check
from teamrun_api.settings import ApiSettings

__all__ = ["Backends", "OpenBackends", "Parts", "open_backends", "parts_of"]


class Backends(NamedTuple):
    """What the API shares with other processes."""

    store: ObjectStore
    live: Live
    dispatcher: Dispatcher | None
    """None where this process executes the runs itself."""


OpenBackends = Callable[[ApiSettings], Backends]
"""Opens it; tests give an API other parts than `open_backends` does."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What `create_app` takes, beside settings."""

    service: RunService
    checks: Mapping[str, Check]
    live: bool
    run_metrics: MetricLines | None = None


def open_backends(settings: ApiSettings) -> Backends:
    """Open the store, the live state and the queue that the settings name.

    Raises:
        UsageError: A setting does not hold.
        StorageError: The store cannot be used.
    """
    redis = None if settings.redis_url is None else read_redis_url(settings.redis_url)
    prefix = key_prefix(settings.namespace or store_namespace(settings.store_url))
    queue = None if redis is None else CeleryDispatcher(redis, prefix=prefix)
    return Backends(
        store=open_store(settings.store_url, fsync=settings.fsync),
        live=open_live(redis, prefix=prefix),
        dispatcher=None if queue is None else PersistentDispatcher(queue),
    )


@asynccontextmanager
async def parts_of(
    settings: ApiSettings, *, environ: Mapping[str, str], backends: OpenBackends = open_backends
) -> AsyncGenerator[Parts, None]:
    """Open store, live state, queue and registry; close them at the end.

    Raises:
        UsageError: A setting or the operator's file is invalid, or the store cannot be used.
    """
    async with AsyncExitStack() as stack:
        registry = load_registry(settings.config, environ=environ)
        stack.push_async_callback(registry.close)
        check_fallbacks(
            registry,
            reachable_by=None if is_loopback(settings.host) else f"TEAMRUN_HOST={settings.host}",
            allowed=settings.allow_scripted,
        )
        store, live, dispatcher = backends(settings)
        stack.push_async_callback(store.close)
        stack.push_async_callback(live.close)
        await prove_store(store)
        checks: dict[str, Check] = {"storage": store.check}
        run_metrics: MetricLines | None = None
        if dispatcher is None:
            dispatcher, run_metrics = await stack.enter_async_context(
                _executing_here(settings, store=store, live=live, registry=registry)
            )
        else:
            checks["redis"] = live.ping
            stack.push_async_callback(dispatcher.close)
        service = RunService(store=store, live=live, dispatcher=dispatcher, registry=registry)
        stack.push_async_callback(service.close)
        yield Parts(service, checks, live=True, run_metrics=run_metrics)


@asynccontextmanager
async def _executing_here(
    settings: ApiSettings, *, store: ObjectStore, live: Live, registry: Registry
) -> AsyncGenerator[tuple[Dispatcher, MetricLines], None]:
    owner = f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    dispatcher = LocalDispatcher(lambda ref: engine.execute(ref))
    engine = Engine(
        store=store,
        live=live,
        dispatcher=dispatcher,
        program=team_program(registry),
        owner=owner,
        lease=settings.lease,
    )
    reaper = Reaper(
        store=store,
        live=live,
        dispatcher=dispatcher,
        owner=owner,
        lease=settings.lease,
        retention=settings.retention,
    )
    stop = asyncio.Event()
    reaping = asyncio.create_task(reaper.run(stop))
    try:
        yield dispatcher, engine.metric_lines
    finally:
        stop.set()
        await reaping
        engine.stop()
        try:
            await asyncio.wait_for(engine.drained(), settings.grace_seconds)
        except TimeoutError:
            engine.abort()
            await engine.drained()
        await dispatcher.close()
        await engine.close()
