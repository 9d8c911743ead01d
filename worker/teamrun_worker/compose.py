"""Makes the parts of a worker from its settings."""

import os
import platform
import uuid

from teamrun.components.config import load_registry
from teamrun.dispatch.celery import CeleryDispatcher
from teamrun.errors import UsageError
from teamrun.live.open import open_live
from teamrun.runs.engine import Engine
from teamrun.runs.reaper import Reaper
from teamrun.storage.open import open_store
from teamrun_worker.host import Parts
from teamrun_worker.settings import WorkerSettings

__all__ = ["compose", "redis_url_of"]


def redis_url_of(settings: WorkerSettings) -> str:
    """Where the queue is.

    Raises:
        UsageError: The setting is missing.
    """
    if settings.redis_url is None:
        raise UsageError(
            "TEAMRUN_REDIS_URL is not set: a worker takes its runs from Redis. Set it, for "
            "example to redis://127.0.0.1:6379/0, or use `teamrun serve`, which brings its own."
        )
    return settings.redis_url


async def compose(settings: WorkerSettings) -> Parts:
    """Open the store, the live state, the queue and the registry, and make engine and reaper.

    Raises:
        UsageError: A setting or the operator's file does not hold.
        StorageError: The store cannot be used.
    """
    redis_url = redis_url_of(settings)
    registry = load_registry(settings.config, environ=os.environ)
    registry.preload()  # a tool that cannot be imported ends the start, not the first run
    store = open_store(settings.store_url, fsync=settings.fsync)
    live = open_live(redis_url)
    dispatcher = CeleryDispatcher(redis_url)
    owner = f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    engine = Engine(
        store=store,
        live=live,
        dispatcher=dispatcher,
        registry=registry,
        owner=owner,
        lease=settings.lease,
    )
    reaper = Reaper(
        store=store, live=live, dispatcher=dispatcher, owner=owner, lease=settings.lease
    )

    async def close() -> None:
        await engine.close()
        await registry.close()
        await dispatcher.close()
        await live.close()
        await store.close()

    return Parts(engine=engine, reaper=reaper, dispatcher=dispatcher, close=close)
