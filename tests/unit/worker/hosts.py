"""A host of runs that a test ends, over a queue in memory."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.support.webhooks import Office

from teamrun.components.registry import Registry
from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Waiting
from teamrun.dispatch.queues import RUN_QUEUES, Queue
from teamrun.errors import DeliveryError
from teamrun.live.memory import MemoryLive
from teamrun.net.destinations import Destinations
from teamrun.runs.engine.executor import Executor
from teamrun.runs.engine.finish import Finish
from teamrun.runs.log.observers import Observers
from teamrun.runtime import Runtime
from teamrun.storage.memory import MemoryStore
from teamrun.threads.turns import ThreadTurns
from teamrun_worker.host import Host

WAIT_S = 10


def ref(number: int) -> RunRef:
    return RunRef("default", f"run_{number}")


@dataclass
class Engine:
    """Runs that go on until `finish`, or until the host stops them."""

    stubborn: bool = False
    deaf: bool = False
    faults: bool = False
    aborted: bool = False
    begun: "list[RunRef]" = field(default_factory=list[RunRef])
    changed: threading.Condition = field(default_factory=threading.Condition)
    live: "dict[RunRef, asyncio.Event]" = field(default_factory=dict[RunRef, asyncio.Event])
    cancelled: int = 0
    loop: asyncio.AbstractEventLoop | None = None

    async def execute(
        self, ref: RunRef, *, deadline: datetime | None = None, handover: timedelta | None = None
    ) -> Finish:
        self.loop = asyncio.get_running_loop()
        self.live[ref] = asyncio.Event()
        self._tell(ref)
        if self.faults:
            raise RuntimeError("out of luck")
        try:
            await self.live[ref].wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            del self.live[ref]
        return Finish.ENDED

    async def pause(self, ref: RunRef) -> timedelta:
        return timedelta()

    def stop(self) -> None:
        if not self.stubborn:
            for event in self.live.values():
                event.set()

    def abort(self) -> None:
        self.aborted = True
        if not self.deaf:
            for event in self.live.values():
                event.set()

    async def drained(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def finish(self, ref: RunRef) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.live[ref].set)

    def await_begun(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) >= count, WAIT_S)

    def _tell(self, ref: RunRef) -> None:
        with self.changed:
            self.begun.append(ref)
            self.changed.notify_all()


@dataclass
class Reaper:
    faults: int = 0
    works: threading.Event = field(default_factory=threading.Event)

    async def run(self, stop: asyncio.Event) -> None:
        if self.faults:
            self.faults -= 1
            raise RuntimeError("no luck")
        self.works.set()
        await stop.wait()


@dataclass
class Messages:
    down: bool = False
    sent: "list[RunRef]" = field(default_factory=list[RunRef])
    queues: "dict[RunRef, Queue]" = field(default_factory=dict[RunRef, Queue])
    first: bool = False

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        if self.down:
            raise DeliveryError("the queue is down")
        self.sent.extend(refs)
        self.queues.update(dict.fromkeys(refs, queue))
        self.first = self.first or first

    async def close(self) -> None:
        pass


@dataclass
class WaitingMessages(Messages):
    """A queue whose messages can be taken many at a time."""

    waiting: "list[Waiting]" = field(default_factory=list[Waiting])
    asked: "list[int]" = field(default_factory=list[int])

    async def take(self, most: int, *, queues: Sequence[Queue]) -> list[Waiting]:
        if self.down:
            raise DeliveryError("the queue is down")
        assert queues == RUN_QUEUES
        self.asked.append(most)
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        return taken


@dataclass
class SlowMessages(WaitingMessages):
    """A queue that removes messages at once and replies later."""

    removed: threading.Event = field(default_factory=threading.Event)
    reply: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, most: int, *, queues: Sequence[Queue]) -> list[Waiting]:
        taken = await super().take(most, queues=queues)
        self.removed.set()
        await self.reply.wait()
        for _ in range(1000):  # a host that does not wait has ended by then
            await asyncio.sleep(0)
        return taken


@dataclass
class Found(Messages):
    """A queue that returns or raises this once, and is empty afterwards."""

    found: "list[Waiting] | Exception" = field(default_factory=list[Waiting])

    async def take(self, most: int, *, queues: Sequence[Queue]) -> list[Waiting]:
        found, self.found = self.found, []
        if isinstance(found, Exception):
            raise found
        return found


def one_each(*numbers: int) -> list[Waiting]:
    return [Waiting(Queue.INTERACTIVE, [ref(number)]) for number in numbers]


async def _cancel_none(ref: RunRef, reason: str) -> None:
    raise AssertionError("no run has a thread here")


@dataclass
class Bench:
    engine: Engine = field(default_factory=Engine)
    reaper: Reaper = field(default_factory=Reaper)
    queue: Messages = field(default_factory=Messages)
    closed: threading.Event = field(default_factory=threading.Event)

    @asynccontextmanager
    async def open(
        self,
        grace: timedelta = timedelta(seconds=5),
        patience: timedelta = timedelta(seconds=5),
    ) -> AsyncGenerator[Runtime]:
        live = MemoryLive()
        runtime = Runtime(
            registry=Registry.of(teams={}),
            store=(store := MemoryStore()),
            live=live,
            dispatcher=self.queue,
            observers=(observers := Observers(live)),
            metric_lines=observers.metrics.lines,
            executor=Executor(self.engine, lambda: self.reaper, patience=patience),
            destinations=Destinations(),
            webhooks=Office().parts,
            turns=ThreadTurns(
                store=store,
                live=live,
                clock=SystemClock(),
                dispatcher=self.queue,
                cancel=_cancel_none,
            ),
        )
        assert runtime.executor is not None
        runtime.executor.start()
        yield runtime
        await runtime.shutdown(grace)
        self.closed.set()

    def host(
        self,
        *,
        capacity: int = 2,
        grace: timedelta = timedelta(seconds=5),
        patience: timedelta = timedelta(seconds=5),
    ) -> Host:
        host = Host(
            lambda: self.open(grace, patience), capacity=capacity, grace=grace, patience=patience
        )
        host.start()
        return host


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread
