"""A fresh process until the end of its first run: an API and an engine in one, as in `serve`."""

import asyncio

from tests.benchmarks.ours.as_host import ready  # first: it turns the collector off
from tests.benchmarks.ours.durable import service, talk
from tests.benchmarks.ours.models import Speaker

from teamrun.storage.memory import MemoryStore


async def first_run() -> None:
    async with service(Speaker(), talk(1), MemoryStore()) as serving:
        ready()
        await serving.execute(await serving.submit())


asyncio.run(first_run())
