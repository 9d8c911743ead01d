"""Makes the parts of a worker from its settings."""

import asyncio
import os
import platform
import uuid
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from teamrun.components.fallbacks import check_fallbacks
from teamrun.components.team_file import load_registry
from teamrun.dispatch.base import Dispatcher
from teamrun.dispatch.celery import CeleryDispatcher
from teamrun.dispatch.persistent import PersistentDispatcher
from teamrun.errors import UsageError
from teamrun.live.base import Live
from teamrun.live.open import open_live
from teamrun.redis.address import RedisAddress, key_prefix, read_redis_url
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.reaper import Reaper
from teamrun.runs.engine.reclaim import ReclaimingSweeper
from teamrun.storage.address import store_namespace
from teamrun.storage.base import ObjectStore
from teamrun.storage.open import open_store
from teamrun.storage.proof import prove_store
from teamrun_worker.host import Parts, Sweeper
from teamrun_worker.metrics import listen, rendered
from teamrun_worker.settings import WorkerSettings

__all__ = ["Backends", "OpenBackends", "compose", "open_backends", "prefix_of", "redis_of"]


class Backends(NamedTuple):
    """What a worker shares with other processes."""

    store: ObjectStore
    live: Live
    dispatcher: Dispatcher


OpenBackends = Callable[[WorkerSettings], Backends]
"""Opens it; tests give a worker other parts than `open_backends` does."""


def redis_of(settings: WorkerSettings) -> RedisAddress:
    """Where the queue is.

    Raises:
        UsageError: The setting is missing or invalid.
    """
    if settings.redis_url is None:
        raise UsageError(
            "TEAMRUN_REDIS_URL is not set: a worker takes its runs from Redis. Set it, for "
            "example to redis://127.0.0.1:6379/0, or use `teamrun serve`, which brings its own."
        )
    return read_redis_url(settings.redis_url)


def prefix_of(settings: WorkerSettings) -> str:
    """The namespace of the deployment in Redis.

    Raises:
        UsageError: The store URL is invalid.
    """
    return key_prefix(settings.namespace or store_namespace(settings.store_url))


def open_backends(settings: WorkerSettings) -> Backends:
    """Open the store, the live state and the queue that the settings name.

    Raises:
        UsageError: A setting does not hold.
        StorageError: The store cannot be used.
    """
    redis, prefix = redis_of(settings), prefix_of(settings)
    return Backends(
        store=open_store(settings.store_url, fsync=settings.fsync),
        live=open_live(redis, prefix=prefix),
        dispatcher=PersistentDispatcher(CeleryDispatcher(redis, prefix=prefix)),
    )


async def compose(settings: WorkerSettings, *, backends: OpenBackends = open_backends) -> Parts:
    """Open the backends and the registry, and make engine and reaper.

    Raises:
        UsageError: A setting or the operator's file is invalid, or the store cannot be used.
        StorageError: The store cannot be opened.
    """
    registry = load_registry(settings.config, environ=os.environ, imports=True)
    registry.preload()  # a tool that cannot be imported ends the start, not the first run
    check_fallbacks(
        registry,
        reachable_by=None if redis_of(settings).is_local else "the Redis of TEAMRUN_REDIS_URL",
        allowed=settings.allow_scripted,
    )
    store, live, dispatcher = backends(settings)
    await prove_store(store)
    name = settings.worker_name
    owner = name or f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    engine = Engine(
        store=store,
        live=live,
        dispatcher=dispatcher,
        program=team_program(registry),
        owner=owner,
        lease=settings.lease,
    )
    reaper: Sweeper = Reaper(
        store=store,
        live=live,
        dispatcher=dispatcher,
        owner=owner,
        lease=settings.lease,
        retention=settings.retention,
    )
    if name is not None:
        reaper = ReclaimingSweeper(
            reaper, owner=owner, store=store, live=live, dispatcher=dispatcher
        )

    server: asyncio.Server | None = None
    if settings.metrics_port is not None:
        server = await listen(
            partial(rendered, engine.metric_lines, dispatcher),
            host=settings.metrics_host,
            port=settings.metrics_port,
        )

    async def close() -> None:
        if server is not None:
            server.close()
        await engine.close()
        await registry.close()
        await dispatcher.close()
        await live.close()
        await store.close()

    return Parts(engine=engine, reaper=reaper, dispatcher=dispatcher, close=close)
