"""Faults around a deployment under load, each as one function: short in tests, long in a
soak.

A scenario has workers, accepts runs for some seconds while the fault lasts, lets the rest
finish, and counts.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.support.children import Child
from tests.support.deployment import Deployment, sometime
from tests.support.load import Load, Tally
from tests.support.proxies import FaultyProxy, Rates, SilentProxy

from teamrun.dispatch.celery import CeleryDispatcher
from teamrun.errors import DeliveryError
from teamrun.redis.pipe import RedisPipe

__all__ = [
    "besieged",
    "calm",
    "flushed",
    "frozen",
    "ill_model",
    "ill_stored",
    "killed",
    "replaced",
    "rolled",
    "silenced",
    "swallowed",
]

RATE_PER_S = 12.0
"""How many runs a scenario accepts per second, of some two seconds each."""
FINISH_S, FINISH_LEASES = 60.0, 10
"""How long the last runs of a scenario may take."""


@asynccontextmanager
async def _repeatedly(act: Callable[[], Awaitable[object]], every_s: float) -> AsyncGenerator[None]:
    """Do something again and again inside the context."""

    async def forever() -> None:
        while True:
            await asyncio.sleep(every_s)
            await act()

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _settled(deployment: Deployment) -> None:
    await deployment.all_settled(within_s=FINISH_S + FINISH_LEASES * deployment.lease_s)


async def _finished(deployment: Deployment, load: Load) -> Tally:
    await _settled(deployment)
    return await load.tally()


async def _under_load(
    deployment: Deployment, act: Callable[[], Awaitable[object]], *, seconds: float, every_s: float
) -> Tally:
    load = Load(deployment)
    async with _repeatedly(act, every_s):
        await load.submit(int(seconds * RATE_PER_S), over_s=seconds)
    return await _finished(deployment, load)


async def _workers(deployment: Deployment, count: int) -> list[Child]:
    workers = [deployment.worker() for _ in range(count)]
    for worker in workers:
        await deployment.ready(worker)
    return workers


async def calm(deployment: Deployment, *, seconds: float) -> Tally:
    """No fault: the baseline of the other scenarios."""
    await _workers(deployment, 2)
    load = Load(deployment)
    await load.submit(int(seconds * RATE_PER_S), over_s=seconds)
    return await _finished(deployment, load)


async def flushed(deployment: Deployment, *, seconds: float, every_s: float) -> Tally:
    """Valkey repeatedly loses all data and all connections.

    The workers should have few places (TEAMRUN_MAX_RUNS), so that there is a queue to be lost.
    """
    await _workers(deployment, 2)
    pipe = RedisPipe(deployment.server.url)

    async def flush() -> None:
        with contextlib.suppress(DeliveryError):
            await pipe.call(b"FLUSHALL")
            await pipe.call(b"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    try:
        return await _under_load(deployment, flush, seconds=seconds, every_s=every_s)
    finally:
        await pipe.close()


async def killed(deployment: Deployment, *, seconds: float, every_s: float) -> Tally:
    """Workers are killed in turn, each with dozens of runs in flight, and replaced."""
    workers = await _workers(deployment, 2)

    async def kill() -> None:
        workers.pop(0).kill()
        workers.append(deployment.worker())

    return await _under_load(deployment, kill, seconds=seconds, every_s=every_s)


async def rolled(deployment: Deployment, *, seconds: float, every_s: float) -> Tally:
    """Workers are stopped in turn and replaced: an endless rolling restart."""
    workers = await _workers(deployment, 2)

    async def roll() -> None:
        workers.append(deployment.worker())
        await deployment.ready(workers[-1])
        workers.pop(0).terminate()

    return await _under_load(deployment, roll, seconds=seconds, every_s=every_s)


async def frozen(deployment: Deployment, *, runs: int) -> tuple[Tally, Counter[str]]:
    """A worker is frozen past its leases; another one finishes its runs; it wakes up.

    Also returns the log records of the frozen one.
    """
    load = Load(deployment)
    [zombie] = await _workers(deployment, 1)
    await load.submit(runs)
    asked = deployment.model.by_token
    await sometime(lambda: all(asked[token] for token in load.refs), "every run has been begun")
    zombie.freeze()
    await _workers(deployment, 1)
    await _settled(deployment)
    zombie.thaw()

    def let_go() -> bool:
        return zombie.actions().count("executor.run_finished") >= runs

    await sometime(let_go, "the zombie has let go of its runs")
    return await load.tally(), Counter(zombie.actions())


async def swallowed(deployment: Deployment, *, runs: int) -> Tally:
    """An idle worker is frozen while Redis has its next message for it: that message is gone."""
    load = Load(deployment)
    [frozen_one, _] = await _workers(deployment, 2)
    frozen_one.freeze()
    await load.submit(runs)
    return await _finished(deployment, load)


async def replaced(
    deployment: Deployment, *, away_s: float, runs: int
) -> tuple[Tally, Counter[int], float]:
    """Valkey is killed while runs are in flight, and restarts empty.

    Also returns the statuses of the requests made meanwhile, and the seconds from its return to
    the last run's end.
    """
    load = Load(deployment)
    deployment.api()
    await _workers(deployment, 2)
    await sometime(_submits(load), "the API answers")
    await load.submit(runs)
    deployment.server.kill()
    statuses = Counter[int]()
    for _ in range(runs):
        statuses[await load.submit_http()] += 1
        await asyncio.sleep(away_s / runs)
    deployment.server.start()
    begun = asyncio.get_running_loop().time()
    tally = await _finished(deployment, load)
    return tally, statuses, asyncio.get_running_loop().time() - begun


def _submits(load: Load) -> Callable[[], Awaitable[bool]]:
    async def submits() -> bool:
        return await load.submit_http() == 202

    return submits


async def silenced(deployment: Deployment, proxy: SilentProxy, *, runs: int) -> tuple[Tally, float]:
    """The connections of a worker to Valkey lead nowhere, without an error.

    Also returns the seconds until everything accepted since then has ended.
    """
    load = Load(deployment)
    await _workers(deployment, 1)
    await load.submit(runs)
    proxy.silence()
    await load.submit(runs)
    begun = asyncio.get_running_loop().time()
    tally = await _finished(deployment, load)
    return tally, asyncio.get_running_loop().time() - begun


async def besieged(deployment: Deployment, *, workers: int) -> Tally:
    """Several workers that do not see each other's leases get the same run at once."""
    load = Load(deployment)
    for worker in [deployment.worker(lonely=True) for _ in range(workers)]:
        await deployment.ready(worker)
    await load.submit(1)
    [ref] = load.refs.values()
    dispatcher = CeleryDispatcher(deployment.server.url, prefix=deployment.prefix)
    for _ in range(10 * workers):
        await dispatcher.send([ref])
    await dispatcher.close()
    return await _finished(deployment, load)


async def ill_model(deployment: Deployment, *, seconds: float) -> Tally:
    """The model server answers as its plan says, errors among it."""
    return await calm(deployment, seconds=seconds)


async def ill_stored(
    deployment: Deployment, proxy: FaultyProxy, *, runs: int, away_s: float
) -> tuple[Tally, Counter[int]]:
    """The store answers some requests with errors, late or not at all; then it is away for a time.

    Also returns the statuses of the requests made while it was away.
    """
    load = Load(deployment)
    deployment.api()
    await _workers(deployment, 2)
    await sometime(_submits(load), "the API answers")
    await load.submit(runs)
    rates, proxy.rates = proxy.rates, Rates(down=True)
    statuses = Counter([await load.submit_http()])
    await asyncio.sleep(away_s)
    proxy.rates = rates
    await _settled(deployment)
    proxy.rates = Rates()  # from here on, only the audit reads
    return await load.tally(), statuses
