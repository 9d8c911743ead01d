"""A deployment in one virtual loop: API processes, workers with reapers, storage, a queue.

Processes are killed, frozen and replaced; the rest of the world continues.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from tests.simulation.batches import BatchDesk
from tests.simulation.canaries import Canaries
from tests.simulation.hooks import HookOffice
from tests.simulation.ledger import Ledger
from tests.simulation.owners import Owners
from tests.simulation.processes import Api, Process, Worker
from tests.simulation.receivers import Reception
from tests.simulation.threads import ThreadDesk
from tests.simulation.weather import Weather, clear
from tests.simulation.world import Died

from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.entries import read_entry
from teamrun.runs.log.keys import BATCHES, HOOKS
from teamrun.storage.memory import MemoryStore

__all__ = ["Deployment"]


class Deployment:
    """The world of one schedule."""

    def __init__(
        self,
        rng: random.Random,
        weather: Weather,
        *,
        sweeps: bool = True,
        reception: Reception | None = None,
        batches: bool = False,
        teams: bool = False,
        threads: bool = False,
    ) -> None:
        self.rng = rng
        self.has_teams = teams or threads
        self.weather = weather
        self.ledger = Ledger()
        self.canaries = Canaries(self.ledger.fault)
        self.store = MemoryStore()
        self._loop = asyncio.get_running_loop()
        self.live = MemoryLive(clock=self._loop.time)
        self.stats = Counter[str]()
        self.operations = 0
        self.store_down_until = self.live_down_until = 0.0
        self.hooks = self._hooks(reception)
        self.desk = BatchDesk(self.ledger.fault) if batches else None
        self.talks = ThreadDesk(self.ledger.fault) if threads else None
        self.processes: dict[str, Process] = {}
        self._sweeps = sweeps
        self._is_closed = False
        self._waiting: list[RunRef] = []
        self._queue_age = 0
        self.owners = Owners(self)
        self.ended: set[str] = set()
        self.void: set[str] = set()
        self.submitted = 0
        self.visitors = 0
        self._tasks: set[asyncio.Task[None]] = set()
        for _ in range(rng.choice((1, 2, 2))):
            self.start_api()
        for _ in range(rng.choice((1, 2, 2, 3))):
            self.start_worker()

    def _hooks(self, reception: Reception | None) -> HookOffice | None:
        """Webhooks, if there are any in this world."""
        if reception is None:
            return None
        return HookOffice(
            reception,
            now=self._loop.time,
            fault=self.ledger.fault,
            seen=self.canaries.seen,
            keys=self._keys,
            is_exact=not self.weather.skew,
        )

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
        for drives in self.ledger.drives.values():
            for drive in drives:
                drive.close()

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

    def enqueue(self, ref: RunRef, queue: Queue = Queue.INTERACTIVE, *, after: float = 0) -> None:
        """Take a message; it may be lost, doubled and late, and is delivered `after` seconds."""
        weather, rng = self.weather, self.rng
        copies = (
            1 + (rng.random() < weather.message_doubled) - (rng.random() < weather.message_lost)
        )
        arrive = self._arrive
        if queue is Queue.HOOKS:
            arrive = self._deliver
            if self.hooks is not None and copies > 1:
                self.hooks.doubled.add(ref.run_id.rpartition("-")[0])
        for _ in range(copies):
            delay = after + rng.random() * weather.message_delay
            self._loop.call_later(delay, arrive, ref, self._queue_age)

    def _arrive(self, ref: RunRef, age: int) -> None:
        if age != self._queue_age:
            return
        worker = self.some_worker()
        if worker is None:
            self._waiting.append(ref)
        else:
            self.spawn(worker.execute(ref))

    def _deliver(self, ref: RunRef, age: int) -> None:
        worker = self.some_worker()
        if age == self._queue_age and worker is not None:
            self.spawn(worker.deliver(ref))

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
        if self.hooks is not None:
            self.hooks.stored(key, data)
        folder, log, name = key.partition("/log/")
        if log and "/batches/" in folder:
            assert self.desk is not None
            self.desk.logged(folder.rpartition("/")[2], data)
            return
        if log and self.talks is not None:
            owner = folder.rpartition("/")[2]
            if "/threads/" in folder:
                self.talks.logged(owner, data)
                return
            self.talks.run_logged(owner, data)
        if name == "000000.json" and self.desk is not None:
            self.desk.created(folder.rpartition("/")[2], read_entry(data))
        if log and self.owners.appended(process, folder.rpartition("/")[2], data) == "end":
            self.ended.add(folder)
            if name == "000000.json":
                self.void.add(folder)

    def calm(self) -> None:
        """Faults end; frozen processes continue."""
        self.weather = clear(self.weather)
        if self.hooks is not None:
            self.hooks.is_calm = True
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

    def _keys(self) -> list[str]:
        """What is stored: a look that no process takes."""
        return self.store._keys  # pyright: ignore[reportPrivateUsage]

    def objects(self, folder: str) -> list[tuple[str, bytes]]:
        """The objects of a folder."""
        stored = self.store._objects  # pyright: ignore[reportPrivateUsage] - as above
        return [(key, stored[key]) for key in self._keys() if key.startswith(folder)]

    def is_over(self) -> bool:
        """Whether there is no more work."""
        keys = self._keys()
        folders = self._folders()
        is_open = any(key.startswith(("open/", HOOKS, BATCHES)) for key in keys)
        items = self.desk.items if self.desk else set[str]()
        single = [f for f in folders - self.void if f.rpartition("/")[2] not in items]
        is_settled = all(f"{folder}/result.json" in keys for folder in single)
        return self.visitors == 0 and not is_open and folders <= self.ended and is_settled

    def runs(self) -> list[str]:
        """Every run that was accepted, acknowledged or not."""
        return sorted(folder.rpartition("/")[2] for folder in self._folders() - self.void)

    def _folders(self) -> set[str]:
        """The folders of all runs."""
        logged = {key.partition("/log/")[0] for key in self._keys() if "/log/" in key}
        return {folder for folder in logged if "/runs/" in folder}
