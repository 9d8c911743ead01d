"""A deployment in one virtual loop: API processes, workers with reapers, storage, a queue.

Processes are killed, frozen and replaced; the rest of the world continues.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from tests.simulation.job import Job, grow
from tests.simulation.ledger import Drive, Ledger
from tests.simulation.ports import LivePort, QueuePort, StorePort
from tests.simulation.weather import LEASE, Weather, clear
from tests.simulation.world import Died, VirtualClock

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.errors import StorageError
from teamrun.live.memory import MemoryLive
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.finish import Finish, Receipt
from teamrun.runs.engine.reaper import Reaper
from teamrun.runs.log.archive import DUTIES, write_events
from teamrun.runs.log.entries import Claim, Entry, read_entry
from teamrun.runs.log.observers import Observers
from teamrun.runs.log.spec import RunSpec
from teamrun.runs.log.state import RunState
from teamrun.runs.service.service import RunService
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel
from teamrun.tools.base import Effects

__all__ = ["TENANT", "Api", "Deployment", "Process", "Worker", "registry"]

TENANT = "default"


@cache
def registry() -> Registry:
    """One team; the input of a run determines its program."""
    agent = {"type": "assistant_agent", "name": "a", "model": "m"}
    team = {"type": "round_robin_group_chat", "participants": [agent]}
    return Registry.of(teams={"t": team}, models={"m": ScriptedModel([])})


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
        self.steady_since = world.now
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

    def enqueue(self, ref: RunRef) -> None:
        self.world.enqueue(ref)

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
        self.service = RunService(
            store=StorePort(self),
            live=LivePort(self),
            dispatcher=QueuePort(self),
            registry=registry(),
            clock=self.clock,
            duties=_DUTIES,
        )


class Worker(Process):
    """Executes runs and sweeps; also the outside that its calls reach."""

    def __init__(self, world: "Deployment", name: str, *, sweeps: bool = True) -> None:
        super().__init__(world, name)
        self.executing = Counter[RunRef]()
        self._epochs = Counter[str]()
        self.retiring = False
        store, live, queue = StorePort(self), LivePort(self), QueuePort(self)
        lease = timedelta(seconds=LEASE)
        self.engine = Engine(
            store=store,
            live=live,
            dispatcher=queue,
            owner=name,
            lease=lease,
            clock=self.clock,
            program=self._program,
            duties=_DUTIES,
            observers=Observers(live, self._appended),
        )
        self._reaper = Reaper(
            store=store,
            live=live,
            dispatcher=queue,
            owner=name,
            lease=lease,
            clock=self.clock,
        )
        self._stop = asyncio.Event()
        if sweeps:
            world.spawn(self._reaper.run(self._stop))

    def _program(self, spec: RunSpec) -> Job:
        drive = Drive(spec.run_id, self.name, lambda: self._epochs[spec.run_id])
        self.world.ledger.drives[spec.run_id].append(drive)
        return Job(grow(random.Random(str(spec.input))), self, drive)

    def _appended(self, ref: RunRef, entry: Entry, state: RunState | None) -> None:
        if isinstance(entry.body, Claim):
            self._epochs[ref.run_id] = entry.epoch

    async def execute(self, ref: RunRef) -> None:
        """The outcome of a message of the queue."""
        self.executing[ref] += 1
        try:
            await self.point()
            before = self._epochs[ref.run_id]
            finish = await self.engine.execute(ref)
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
                self.world.let_go(ref, self.name)

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
        self.alive = False

    async def reach(self, drive: Drive, call_id: str, effects: Effects) -> int | None:
        self.world.check_term(self, drive.run_id, call_id)
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


class Deployment:
    """The world of one schedule."""

    def __init__(self, rng: random.Random, weather: Weather, *, sweeps: bool = True) -> None:
        self.rng = rng
        self.weather = weather
        self.ledger = Ledger()
        self.store = MemoryStore()
        self._loop = asyncio.get_running_loop()
        self.live = MemoryLive(clock=self._loop.time)
        self.stats = Counter[str]()
        self.operations = 0
        self.store_down_until = self.live_down_until = 0.0
        self.processes: dict[str, Process] = {}
        self._sweeps = sweeps
        self._is_closed = False
        self._waiting: list[RunRef] = []
        self._queue_age = 0
        self._owners: dict[str, str] = {}
        self._terms: dict[tuple[str, str], datetime] = {}
        self.ended: set[str] = set()
        self.void: set[str] = set()
        self.submitted = 0
        self.visitors = 0
        self._tasks: set[asyncio.Task[None]] = set()
        for _ in range(rng.choice((1, 2, 2))):
            self.start_api()
        for _ in range(rng.choice((1, 2, 2, 3))):
            self.start_worker()

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self._loop.time()

    def live_of_process(self) -> MemoryLive:
        """The live state that a new process has."""
        if self.weather.is_live_shared:
            return self.live
        return MemoryLive(clock=self._loop.time, is_shared=False)

    def visit(self, work: Coroutine[Any, Any, None]) -> None:
        """Let a client do something; the world is not over before it has done it."""

        async def counted() -> None:
            try:
                await work
            finally:
                self.visitors -= 1

        self.visitors += 1
        self.spawn(counted())

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on beside the rest; a process may die under it."""
        task = self._loop.create_task(self._watched(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # if it is cancelled before it begins

    async def _watched(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Died:
            pass
        except Exception as error:
            self.ledger.fault(f"unexpected {error!r}")

    # Processes

    def _fit(self, kind: type[Process]) -> list[Process]:
        return [p for p in self.processes.values() if isinstance(p, kind) and p.alive]

    def some_api(self) -> Api | None:
        """An API process that clients may reach."""
        apis = self._fit(Api)
        api = self.rng.choice(apis) if apis else None
        assert api is None or isinstance(api, Api)
        return api

    def some_worker(self) -> Worker | None:
        """A worker that takes messages, though it may be frozen."""
        workers = [w for w in self._fit(Worker) if isinstance(w, Worker) and not w.retiring]
        return self.rng.choice(workers) if workers else None

    def close(self) -> None:
        """The schedule is over."""
        self._is_closed = True
        for process in self.processes.values():
            process.alive = False

    def start_api(self) -> None:
        """Start one more API process."""
        if self._is_closed:
            return
        name = f"api-{len(self.processes)}"
        self.processes[name] = Api(self, name)

    def start_worker(self) -> None:
        """Start one more worker; it takes what waits in the queue."""
        if self._is_closed:
            return
        name = f"worker-{len(self.processes)}"
        self.processes[name] = Worker(self, name, sweeps=self._sweeps)
        waiting, self._waiting = self._waiting, []
        for ref in waiting:
            self._arrive(ref, self._queue_age)

    def kill(self, process: Process) -> None:
        """As SIGKILL does; another one is started in its place."""
        if not process.alive:
            return
        process.alive = False
        self.stats["killed"] += 1
        self._replace(process)

    def retire(self) -> None:
        """End a worker as planned."""
        worker = self.some_worker()
        if worker is not None:
            self.stats["retired"] += 1
            self.spawn(worker.retire())
            self._replace(worker)

    def _replace(self, process: Process) -> None:
        start = self.start_api if isinstance(process, Api) else self.start_worker
        self._loop.call_later(self.rng.choice((0, 0.1, 1, 5)), start)

    # Queue and live state

    def enqueue(self, ref: RunRef, *, after: float = 0) -> None:
        """Take a message; it may be lost, doubled and late, and is delivered `after` seconds."""
        weather, rng = self.weather, self.rng
        copies = (
            1 + (rng.random() < weather.message_doubled) - (rng.random() < weather.message_lost)
        )
        for _ in range(copies):
            delay = after + rng.random() * weather.message_delay
            self._loop.call_later(delay, self._arrive, ref, self._queue_age)

    def _arrive(self, ref: RunRef, age: int) -> None:
        if age != self._queue_age:
            return
        worker = self.some_worker()
        if worker is None:
            self._waiting.append(ref)
        else:
            self.spawn(worker.execute(ref))

    def flush(self) -> None:
        """Empty what can be rebuilt: leases, views, subscriptions, the queue."""
        self.stats["flushed"] += 1
        self.live.forget()
        self._queue_age += 1
        self._waiting.clear()

    # Observation

    def count_operation(self) -> None:
        """Called for each operation on storage or live state; ends a run-away world."""
        self.operations += 1
        if self.operations > 300_000:
            raise RuntimeError("a schedule runs away")

    def written(self, process: Process, key: str, data: bytes) -> None:
        """An object was created; entries of logs are looked at."""
        folder, log, _ = key.partition("/log/")
        if not log:
            return
        kind = data.partition(b'"kind":"')[2].partition(b'"')[0]
        if not process.live.is_shared and kind in (b"claim", b"step", b"intent"):
            self._note_term(process, folder.rpartition("/")[2], read_entry(data))
        if kind == b"claim":
            self._claimed(process, folder.rpartition("/")[2])
        elif kind in (b"wait", b"yield", b"end"):
            self._owners.pop(folder.rpartition("/")[2], None)
            if kind == b"end":
                self.ended.add(folder)
                if key.endswith("/000000.json"):
                    self.void.add(folder)

    def _note_term(self, process: Process, run_id: str, entry: Entry) -> None:
        """An owner has renewed its term."""
        self._terms[run_id, process.name] = entry.at + timedelta(seconds=LEASE)

    def check_term(self, process: Process, run_id: str, call_id: str) -> None:
        """A call starts: only within the term of its owner, as that one's clock says."""
        until = self._terms.get((run_id, process.name))
        is_frozen = process.frozen_until > self.now
        if until is not None and not is_frozen and process.clock.now() >= until:
            self.ledger.fault(f"I14 {process.name} began {call_id} after its term ({run_id})")

    def let_go(self, ref: RunRef, owner: str) -> None:
        """An owner has come to the end of its execution, if only since storage did not answer."""
        if self._owners.get(ref.run_id) == owner:
            del self._owners[ref.run_id]

    def _claimed(self, process: Process, run_id: str) -> None:
        """A run is taken over only if its owner could not renew the lease."""
        self.stats["claims"] += 1
        owner = self.processes.get(self._owners.get(run_id, ""))
        self._owners[run_id] = process.name
        if not isinstance(owner, Worker) or owner is process:
            return
        self.stats["taken over"] += 1
        self.stats["taken over without shared live state"] += not process.live.is_shared
        ref = RunRef(TENANT, run_id)
        steady = self.now - owner.steady_since >= 2 * LEASE
        if owner.alive and owner.executing[ref] and steady:
            self.ledger.fault(f"I13 {ref} was taken from {owner.name}, which was well")

    def calm(self) -> None:
        """Faults end; frozen processes continue."""
        self.weather = clear(self.weather)
        self.store_down_until = self.live_down_until = 0.0
        for process in self.processes.values():
            process.frozen_until = 0.0
        if not self._fit(Api):
            self.start_api()
        if self.some_worker() is None:
            self.start_worker()

    def lose_store(self, seconds: float) -> None:
        """Storage cannot be reached for that time."""
        self.store_down_until = self.now + seconds

    def lose_live(self, seconds: float) -> None:
        """The live state and the queue cannot be reached for that time."""
        self.live_down_until = self.now + seconds

    def is_over(self) -> bool:
        """Whether there is no more work."""
        keys = self.store._keys  # pyright: ignore[reportPrivateUsage] - a look that no process takes
        folders = {key.partition("/log/")[0] for key in keys if "/log/" in key}
        is_open = any(key.startswith("open/") for key in keys)
        is_settled = all(f"{folder}/result.json" in keys for folder in folders - self.void)
        return self.visitors == 0 and not is_open and folders <= self.ended and is_settled

    def runs(self) -> list[str]:
        """Every run that was accepted, acknowledged or not."""
        keys = self.store._keys  # pyright: ignore[reportPrivateUsage] - a look that no process takes
        folders = {key.partition("/log/")[0] for key in keys if "/log/" in key}
        return sorted(folder.rpartition("/")[2] for folder in folders - self.void)
