"""One schedule: a deployment, its clients and its faults, then a calm in which all has to end."""

import asyncio
import hashlib
import logging
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any
from unittest.mock import patch

from tests.simulation.batch_clients import BatchClients
from tests.simulation.clients import Clients
from tests.simulation.deployment import Deployment
from tests.simulation.invariants import violations
from tests.simulation.line import Line
from tests.simulation.receivers import Reception, draw_reception
from tests.simulation.subscribers import Subscribers
from tests.simulation.team_job import seen_model
from tests.simulation.thread_clients import ThreadClients
from tests.simulation.weather import ORPHAN, Weather, apart, draw, limited
from tests.simulation.world import Livelock, VirtualClock, VirtualLoop, run_virtually

from teamrun.batches import acceptance, feeder
from teamrun.messages import origin
from teamrun.runs.durable.wiring import JournalWiring
from teamrun.runs.engine import calls, execution, reaper
from teamrun.runs.log import keys, snapshot
from teamrun.threads import log as threads_log
from teamrun.threads import pages
from teamrun.webhooks import deliverer, targets
from teamrun.webhooks import schedule as retries

__all__ = ["Outcome", "run_schedule"]

_APART = 0.3
"""The part of schedules in which processes have no common live state."""
_LIMITED = 0.3
"""The part of schedules whose workers have a limited time for each message."""
_SNAPSHOTS = 0.5
"""The part of schedules in which runs have snapshots."""
_SHORT = 3
"""The number of entries in them up to which a log has none; runs here have some twenty."""
_HOOKS = 0.25
"""The part of schedules with webhooks."""
_BATCHES = 0.1
"""The part of schedules with a batch."""
_TEAMS = 0.3
"""The part of schedules with runs of real teams."""
_THREADS = 0.1
"""The part of schedules with threads."""
_PAGE = 2
"""Entries of a thread that are copied together."""
_BLOCK = 2
"""Items of a batch whose results are stored together."""
_LOGGED = 0.2
"""The part of those whose log lines are read, which takes much of the time."""
_QUICKER = 1_000
_TURBULENCE = 45.0
_CALM = 400.0
_LONG_CALM = 7_300.0
"""For what only the markers of the next hour bring back."""
_STEPS, _LONG_STEPS = 25_000, 500_000
_FURTHER_CALM, _FURTHER_STEPS = 1_000.0, 100_000
"""Bounds of the first part and of the long calm. With correct code the first part takes 1,200 to
5,000 steps; idle workers take 11 to 25 a second."""


@dataclass
class Outcome:
    """The result of one schedule."""

    seed: int
    violations: list[str] = field(default_factory=list[str])
    runs: int = 0
    fingerprint: str = ""
    """Of everything that is in storage at the end."""
    stats: Counter[str] = field(default_factory=Counter[str])


@dataclass(kw_only=True)
class _Has:
    """What there is in the world of a schedule."""

    reception: Reception | None
    batch: bool
    teams: bool
    threads: bool


def run_schedule(
    seed: int,
    *,
    sweeps: bool = True,
    focus: Callable[[Weather], Weather] = lambda weather: weather,
    hooks: float = _HOOKS,
    batches: float = _BATCHES,
    teams: float = _TEAMS,
    threads: float = _THREADS,
) -> Outcome:
    """Run the schedule of a seed: the same one each time.

    Args:
        seed: The source of all random choices.
        sweeps: Workers have a reaper.
        focus: Makes the weather that the seed draws worse in some way.
        hooks: The probability of webhooks.
        batches: The probability of a batch.
        teams: The probability of real teams.
        threads: The probability of threads; then there are no webhooks and no batch.
    """
    has_threads = random.Random(seed + 9).random() < threads
    has_teams = random.Random(seed + 7).random() < teams
    has_batch = not has_threads and random.Random(seed + 6).random() < batches
    dice = random.Random(seed + 4)
    has_hooks = not has_threads and dice.random() < hooks
    reception = draw_reception(dice) if has_hooks else None
    rng = random.Random(seed)
    short = _SHORT if random.Random(seed + 3).random() < _SNAPSHOTS else snapshot.SHORT
    is_quick = reception is not None and reception.is_quick
    with (
        _silence(),
        _chance_from(random.Random(seed + 1)),
        _short_logs(short),
        _quick_tries(_QUICKER if is_quick else 1),
    ):
        try:
            has = _Has(reception=reception, batch=has_batch, teams=has_teams, threads=has_threads)
            return run_virtually(_run(seed, rng, sweeps, focus, has))
        except Livelock as error:
            return Outcome(seed, violations=[str(error)])


@contextmanager
def _silence() -> Generator[None]:
    """Faults are frequent here, and logging each would take most of the time."""
    logger = logging.getLogger("teamrun")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _chance_from(rng: random.Random) -> Generator[None]:
    """Identifiers and durations come from the seed, too."""

    def token_hex(count: int) -> str:
        return rng.randbytes(count).hex()

    def time_ns() -> int:
        return int(VirtualClock().now().timestamp() * 1e9)

    class VirtualDatetime:
        """Messages that are made in a call, outside of run code, carry the time of the world."""

        @staticmethod
        def now(_: tzinfo) -> datetime:
            return VirtualClock().now()

    with (
        patch.object(os, "urandom", rng.randbytes),
        patch.object(origin, "_pool", []),  # the rest of an earlier schedule
        patch.object(origin, "datetime", VirtualDatetime),
        patch.object(secrets, "token_hex", token_hex),
        patch.object(secrets, "token_bytes", rng.randbytes),
        patch.object(time, "time_ns", time_ns),
        patch.object(calls, "monotonic", lambda: asyncio.get_running_loop().time()),
        patch.object(keys, "_IDLE", timedelta()),
        patch.object(reaper, "_ORPHAN", timedelta(seconds=ORPHAN)),
        patch.object(feeder, "_ORPHAN", timedelta(seconds=ORPHAN)),
        patch.object(deliverer, "_ABSENT", timedelta(minutes=10)),  # longer than any freeze
        patch.object(acceptance, "_BLOCK", _BLOCK),
        patch.object(pages, "PAGE", _PAGE),
        patch.object(threads_log, "PAGE", _PAGE),
        patch.object(threads_log, "_AT_FIRST", _PAGE),
        patch.object(JournalWiring, "model", seen_model),
    ):
        yield


@contextmanager
def _short_logs(most: int) -> Generator[None]:
    """Logs of more than so many entries have snapshots."""
    with patch.object(snapshot, "SHORT", most), patch.object(execution, "SHORT", most):
        yield


@contextmanager
def _quick_tries(factor: int) -> Generator[None]:
    """Pauses between the tries of a delivery are shorter, and the same in each process."""
    delays = [each / factor for each in vars(retries)["_DELAYS_S"]]
    longest = vars(targets)["_LONGEST_FAILURE"] / factor
    with (
        patch.object(retries, "_DELAYS_S", delays),
        patch.object(retries, "_JITTER", 0),
        patch.object(targets, "_LONGEST_FAILURE", longest),
    ):
        yield


async def _run(
    seed: int,
    rng: random.Random,
    sweeps: bool,
    focus: Callable[[Weather], Weather],
    has: "_Has",
) -> Outcome:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.set_exception_handler(lambda loop, context: None)
    reception = has.reception
    loop.allow(_FURTHER_STEPS if reception or has.batch or has.threads else _STEPS)
    weather = draw(rng)
    if random.Random(seed + 2).random() < _APART:
        weather = apart(weather)
    platform = random.Random(seed + 8)
    if platform.random() < _LIMITED:
        weather = limited(weather, platform)
    weather = focus(weather)
    world = Deployment(
        rng,
        weather,
        sweeps=sweeps,
        reception=reception,
        batches=has.batch,
        teams=has.teams,
        threads=has.threads,
    )
    line = Line(world)
    clients = Clients(world, line)
    if reception is not None:
        Subscribers(world, line).come()
    if has.batch:
        BatchClients(world, line).come()
    if world.talks is not None:
        ThreadClients(world, line, clients, world.talks).come()
    is_busy = has.batch or has.threads
    world.submitted = rng.choice((0, 1)) if is_busy else rng.choice((1, 2, 2, 3))
    for _ in range(world.submitted):
        world.visit(clients.submit())
    _set_faults(world, weather)
    outcome = Outcome(seed, stats=world.stats)
    is_read = reception is not None and random.Random(seed + 5).random() < _LOGGED
    listening = world.canaries.listening() if is_read else nullcontext()
    try:
        with listening:
            await _live(world, clients)
        outcome.violations = await violations(world)
    except RuntimeError as error:
        outcome.violations = [*world.ledger.faults, repr(error)]
    outcome.runs = len(world.runs())
    world.stats["operations"] = world.operations
    world.stats["with a batch"] += has.batch
    world.stats["with threads"] += has.threads
    world.stats["with webhooks"] += reception is not None
    world.stats["with a time limit"] += weather.time_limit > 0
    world.stats["without shared live state"] += not weather.is_live_shared
    world.stats["void"] = len(world.void)
    outcome.fingerprint = await _fingerprint(world)
    world.close()
    return outcome


async def _live(world: Deployment, clients: Clients) -> None:
    """Faults, and then a calm in which everything ends."""
    await _until_all_is_over(world, _TURBULENCE)
    world.calm()
    is_long = world.hooks or world.desk or world.talks
    await _until_all_is_over(world, _FURTHER_CALM if is_long else _CALM, clients)
    if not world.is_over():
        world.stats["slow"] += 1
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.allow(_LONG_STEPS)
        await _until_all_is_over(world, _LONG_CALM, clients)


async def _fingerprint(world: Deployment) -> str:
    digest = hashlib.sha256()
    for key in await world.store.list("", limit=100_000):
        digest.update(key.encode() + await world.store.get(key))
    return digest.hexdigest()


def _set_faults(world: Deployment, weather: Weather) -> None:
    loop, rng = asyncio.get_running_loop(), world.rng

    def every(seconds: float | None, fault: Any) -> None:
        if seconds is None:
            return

        def strike() -> None:
            if world.weather is weather:
                fault()
                loop.call_later(rng.expovariate(1 / seconds), strike)

        loop.call_later(rng.expovariate(1 / seconds), strike)

    every(weather.flush_every, world.flush)
    every(weather.retire_every, world.retire)
    loop.call_later(rng.uniform(0, 8), world.lose_store, weather.store_down)
    loop.call_later(rng.uniform(0, 8), world.lose_live, weather.live_down)


async def _until_all_is_over(
    world: Deployment, seconds: float, attendants: Clients | None = None
) -> None:
    """Return when every run has ended and nothing is left to do, or after that time."""
    until = world.now + seconds
    while world.now < until:
        if attendants is not None:
            attendants.look_after(world.runs())
        await asyncio.sleep(1)
        if world.is_over():
            return
