"""The processes of a simulated deployment: APIs, and workers with reapers."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.simulation.batches import BatchParts
from tests.simulation.hooks import webhook_service
from tests.simulation.job import Job
from tests.simulation.ledger import Drive
from tests.simulation.ports import LivePort, QueuePort, StorePort
from tests.simulation.team_file import registry
from tests.simulation.team_job import TeamJob, program_of, team_registry
from tests.simulation.threads import ThreadParts
from tests.simulation.weather import LEASE, Weather
from tests.simulation.world import Died, VirtualClock

from teamrun.batches.service import BatchService
from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.errors import StorageError
from teamrun.net.destinations import Destinations
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.finish import Finish, Receipt
from teamrun.runs.engine.reaper import Reaper
from teamrun.runs.log.archive import DUTIES, write_events
from teamrun.runs.log.entries import Claim, Entry
from teamrun.runs.log.observers import Observers
from teamrun.runs.log.spec import RunSpec
from teamrun.runs.log.state import RunState
from teamrun.runs.service.service import RunService
from teamrun.threads.service import ThreadService
from teamrun.tools.base import Effects
from teamrun.webhooks.service import WebhookService

if TYPE_CHECKING:
    from tests.simulation.deployment import Deployment

__all__ = ["TENANT", "Api", "Process", "Worker"]

TENANT = "default"


_DURATIONS = ((0, 0), (0, 0), (0.001, 0.02), (0.3, 0), (0, 1.5), (2, 2))
"""Seconds of a call before and after its effect."""
_LONG = ((1.2 * LEASE, 0), (0, 1.5 * LEASE), (0, 3 * LEASE))

_DUTIES = (write_events, *DUTIES)
"""Also the one that an operator may ask for."""


class ProcessClock(VirtualClock):
    """The clock of one process; a sleeping task wakes up in that process, if it is alive."""

    def __init__(self, process: "Process", skew: timedelta) -> None:
        super().__init__(skew)
        self._process = process

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._process.thawed()


class Process:
    """Something that can be killed and frozen; a `Host` of ports."""

    def __init__(self, world: "Deployment", name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.frozen_until = 0.0
        self.born = self.steady_since = world.now
        self.store = world.store
        self.live = world.live_of_process()
        self.rng = world.rng
        skew = world.rng.uniform(-1, 1) * world.weather.skew
        self.clock = ProcessClock(self, timedelta(seconds=skew))

    @property
    def weather(self) -> Weather:
        return self.world.weather

    @property
    def store_is_down(self) -> bool:
        return self.world.now < self.world.store_down_until

    @property
    def live_is_down(self) -> bool:
        return self.world.now < self.world.live_down_until

    def disturbed(self) -> None:
        self.steady_since = self.world.now

    def written(self, key: str, data: bytes) -> None:
        self.world.written(self, key, data)

    def stored(self, key: str, data: bytes) -> None:
        if self.world.hooks is not None:
            self.world.canaries.stored(key, data)

    def seen(self, place: str, data: bytes) -> None:
        if self.world.hooks is not None:
            self.world.canaries.seen(place, data)

    def is_steady(self, since: float) -> bool:
        return self.alive and (self.steady_since <= since or self.steady_since == self.born)

    def enqueue(self, ref: RunRef, queue: Queue) -> None:
        self.world.enqueue(ref, queue)

    async def point(self, *, danger: float = 1) -> None:
        if not self.alive:
            raise Died
        world, weather, rng = self.world, self.world.weather, self.rng
        world.count_operation()
        roll = rng.random() / danger
        if roll < weather.crash:
            world.kill(self)
            raise Died
        if roll < weather.crash + weather.freeze:
            self.freeze(rng.uniform(0.5, 1) * weather.freeze_s)
        await asyncio.sleep(rng.choice(weather.latencies))
        await self.thawed()

    async def thawed(self) -> None:
        """Stand still as long as the process does."""
        left = self.frozen_until - self.world.now
        if self.alive and left > 0:
            try:
                await asyncio.sleep(left)
                await self.thawed()  # it may have been frozen again
            except asyncio.CancelledError:
                await self._cancelled_late()
        if not self.alive:
            raise Died

    async def _cancelled_late(self) -> None:
        """A frozen process receives nothing; it completes its current operation first."""
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        await self.thawed()
        task.cancel()

    def freeze(self, seconds: float) -> None:
        """As SIGSTOP does, and SIGCONT after that time."""
        self.world.stats["frozen"] += 1
        self.frozen_until = self.steady_since = self.world.now + seconds


class Api(Process):
    """Accepts, reads, talks."""

    def __init__(self, world: "Deployment", name: str) -> None:
        super().__init__(world, name)
        store, live = StorePort(self), LivePort(self)
        parts = world.hooks and world.hooks.parts(self, delivers=False)
        batches = BatchParts(self, parts) if world.desk else None
        duties = (*_DUTIES, batches.duty) if batches else _DUTIES
        talks = ThreadParts(self, duties) if world.talks else None
        self.service = RunService(
            store=store,
            live=live,
            dispatcher=QueuePort(self),
            registry=team_registry() if world.has_teams else registry(),
            clock=self.clock,
            duties=talks.duties if talks else duties,
            threads=talks and talks.turns,
            observers=parts and Observers(live, pre_commit=(parts.outbox.pre_commit,)),
            destinations=Destinations(),
            webhooks_at=parts and parts.endpoints.changed_at,
        )
        self._hooks = parts and webhook_service(parts, store=store, clock=self.clock)
        self._batches = batches and batches.service(self.service)
        self._threads = talks and talks.service(self.service)

    @property
    def batches(self) -> BatchService:
        """The batches, in a world that has them."""
        assert self._batches is not None
        return self._batches

    @property
    def threads(self) -> ThreadService:
        """The threads, in a world that has them."""
        assert self._threads is not None
        return self._threads

    @property
    def hooks(self) -> WebhookService:
        """The webhooks, in a world that has them."""
        assert self._hooks is not None
        return self._hooks


class Worker(Process):
    """Executes runs and sweeps; also the outside that its calls reach."""

    def __init__(self, world: "Deployment", name: str, *, sweeps: bool = True) -> None:
        super().__init__(world, name)
        self.executing = Counter[RunRef]()
        self._epochs = Counter[str]()
        self.retiring = False
        store, live, queue = StorePort(self), LivePort(self), QueuePort(self)
        lease = timedelta(seconds=LEASE)
        self._parts = parts = world.hooks and world.hooks.parts(self, delivers=True)
        pre_commit = (parts.outbox.pre_commit,) if parts else ()
        batches = BatchParts(self, parts) if world.desk else None
        duties = (*_DUTIES, batches.duty) if batches else _DUTIES
        self._talks = talks = ThreadParts(self, duties) if world.talks else None
        duties = talks.duties if talks else duties
        further = (batches.ends.appended,) if batches else ()
        observers = Observers(live, *further, self._appended, pre_commit=pre_commit)
        self.engine = Engine(
            store=store,
            live=live,
            dispatcher=queue,
            owner=name,
            lease=lease,
            clock=self.clock,
            program=self._program,
            duties=duties,
            observers=observers,
            is_turn=talks and talks.turns.is_turn,
        )
        self._reaper = Reaper(
            store=store,
            live=live,
            dispatcher=queue,
            owner=name,
            lease=lease,
            clock=self.clock,
            observers=Observers(live, pre_commit=pre_commit) if parts else None,
            wake=talks and talks.turns.wake,
        )
        self._stop = asyncio.Event()
        if sweeps:
            world.spawn(self._reaper.run(self._stop))
        if batches is not None:
            world.spawn(batches.feeder(observers, duties).run(self._stop))
        if parts is not None:
            parts.start()

    def _program(self, spec: RunSpec) -> Job | TeamJob:
        drive = Drive(spec.run_id, self.name, lambda: self._epochs[spec.run_id])
        self.world.ledger.drives[spec.run_id].append(drive)
        threads = self._talks and self._talks.turns.conversation.before
        return program_of(spec, self, drive, threads)

    def _appended(self, ref: RunRef, entry: Entry, state: RunState | None) -> None:
        if isinstance(entry.body, Claim):
            self._epochs[ref.run_id] = entry.epoch

    async def execute(self, ref: RunRef) -> None:
        """The outcome of a message of the queue."""
        self.executing[ref] += 1
        try:
            await self.point()
            before = self._epochs[ref.run_id]
            finish = await self._execute(ref)
            epoch = self._epochs[ref.run_id]
            # Nothing was claimed if the run was found waiting.
            if finish in (Finish.YIELDED, Finish.WAITING) and epoch != before:
                drive = self.world.ledger.latest(ref.run_id, epoch)
                if drive is not None:
                    drive.sure = len(drive.thread)
            if not self.live.is_shared:
                await self._settle(ref, finish.receipt)
        except StorageError:
            self.world.stats["gave up"] += 1
        finally:
            self.executing[ref] -= 1
            if not self.executing[ref]:
                self.world.owners.let_go(ref, self.name)

    async def _execute(self, ref: RunRef) -> Finish:
        """Execute a run, in the time that the platform gives for a message."""
        seconds = self.weather.time_limit
        if not seconds:
            return await self.engine.execute(ref)
        end = asyncio.get_running_loop().call_later(seconds, self._time_is_over)
        try:
            limit = timedelta(seconds=seconds)
            deadline = self.clock.now() + limit
            finish = await self.engine.execute(ref, deadline=deadline, handover=limit / 2)
            self.world.stats["handed over"] += finish in (Finish.YIELDED, Finish.REFUSED)
            return finish
        finally:
            end.cancel()

    def _time_is_over(self) -> None:
        self.world.stats["time over"] += self.alive
        self.world.kill(self)

    async def _settle(self, ref: RunRef, receipt: Receipt) -> None:
        """Return a message as the adapter of a queue with delays does."""
        if receipt is Receipt.RETURN:
            self.world.enqueue(ref)
        elif receipt is Receipt.RETURN_LATER:
            pause = await self.engine.pause(ref)
            self.world.enqueue(ref, after=pause.total_seconds())

    async def retire(self) -> None:
        """End as planned: yield everything, hurrying after a while."""
        self.retiring = True
        self._stop.set()
        self.engine.stop()
        drained = asyncio.ensure_future(self.engine.drained())
        await asyncio.wait([drained], timeout=self.rng.choice((0.01, 0.5, 5)))
        if not drained.done():
            self.engine.abort()
        await drained
        await self.engine.close()
        if self._parts is not None:
            await self._parts.shutdown(timedelta(seconds=self.rng.choice((0, 1, 20))))
        self.alive = False

    async def deliver(self, ref: RunRef) -> None:
        """Execute the job of a message of the queue `hooks`."""
        await self.point()
        assert self._parts is not None and self._parts.delivery is not None
        await self._parts.delivery.deliverer.handle(ref)

    async def reach(self, drive: Drive, call_id: str, effects: Effects) -> int | None:
        self.world.owners.check_term(self, drive.run_id, call_id)
        self.world.owners.check_cause(drive, call_id)
        await self.thawed()
        drive.acts()
        drive.made.append((call_id, drive.epoch))
        drive.sure = len(drive.thread)
        is_long = self.rng.random() < self.weather.long_calls
        before, after = self.rng.choice(_LONG if is_long else _DURATIONS)
        await asyncio.sleep(before)
        await self.thawed()
        if effects != "none":
            self.world.ledger.effects[drive.run_id, call_id, effects] += 1
        await asyncio.sleep(after)
        await self.point()
        return None if self.rng.random() < 0.04 else self.rng.randrange(1 << 16)
