import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from teamrun.components.registry import Registry
from teamrun.core.refs import RunRef
from teamrun.dispatch.base import Waiting
from teamrun.dispatch.queues import RUN_QUEUES, Queue
from teamrun.errors import DeliveryError, UsageError
from teamrun.live.memory import MemoryLive
from teamrun.runs.engine.executor import Executor
from teamrun.runs.engine.finish import Finish
from teamrun.runs.log.observers import Observers
from teamrun.runtime import Runtime
from teamrun.storage.memory import MemoryStore
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

    async def execute(self, ref: RunRef, *, deadline: datetime | None = None) -> Finish:
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


def one_each(*numbers: int) -> list[Waiting]:
    return [Waiting(Queue.INTERACTIVE, [ref(number)]) for number in numbers]


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
            store=MemoryStore(),
            live=live,
            dispatcher=self.queue,
            observers=(observers := Observers(live)),
            metric_lines=observers.metrics.lines,
            executor=Executor(self.engine, self.reaper, patience=patience),
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


def test_runs_overlap_on_one_loop() -> None:
    bench = Bench()
    host = bench.host()

    host.submit([ref(1)])
    host.submit([ref(2)])

    bench.engine.await_begun(2)
    assert set(bench.engine.live) == {ref(1), ref(2)}
    host.close()


def test_a_full_host_makes_the_next_run_wait_for_a_place() -> None:
    bench = Bench()
    host = bench.host(capacity=1)
    host.submit([ref(1)])
    bench.engine.await_begun(1)

    waiting = in_thread(lambda: host.submit([ref(2)]))
    assert bench.engine.begun == [ref(1)]
    bench.engine.finish(ref(1))

    bench.engine.await_begun(2)
    waiting.join(WAIT_S)
    assert bench.engine.begun == [ref(1), ref(2)]
    host.close()


def test_what_exceeds_the_capacity_returns_to_the_front_of_its_queue() -> None:
    bench = Bench()
    host = bench.host(capacity=2)

    host.submit([ref(number) for number in range(1, 6)], queue=Queue.BATCH)

    bench.engine.await_begun(2)
    assert bench.engine.begun == [ref(1), ref(2)]
    assert bench.queue.sent == [ref(3), ref(4), ref(5)]
    assert set(bench.queue.queues.values()) == {Queue.BATCH}
    assert bench.queue.first
    host.close()


def test_a_full_host_starts_one_run_of_a_message_and_returns_the_others() -> None:
    bench = Bench()
    host = bench.host(capacity=1)
    host.submit([ref(1)])
    bench.engine.await_begun(1)

    waiting = in_thread(lambda: host.submit([ref(2), ref(3)]))
    assert bench.queue.sent == []
    bench.engine.finish(ref(1))

    waiting.join(WAIT_S)
    bench.engine.await_begun(2)
    assert bench.engine.begun == [ref(1), ref(2)]
    assert bench.queue.sent == [ref(3)]
    host.close()


def test_a_busy_host_takes_the_messages_that_wait_many_at_a_time() -> None:
    queue = WaitingMessages(waiting=one_each(*range(3, 9)))
    bench = Bench(queue=queue)
    host = bench.host(capacity=10)
    host.submit([ref(1)])
    bench.engine.await_begun(1)

    host.submit([ref(2)])

    bench.engine.await_begun(8)
    assert bench.engine.begun == [ref(number) for number in range(1, 9)]
    assert queue.asked == [8]
    host.close()
    assert queue.sent == []


def test_a_host_without_other_runs_takes_no_further_messages() -> None:
    queue = WaitingMessages(waiting=one_each(2))
    bench = Bench(queue=queue)
    host = bench.host(capacity=10)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    assert queue.asked == []
    host.close()


def test_a_full_host_takes_as_many_messages_as_places_become_free() -> None:
    queue = WaitingMessages(waiting=one_each(*range(3, 7)))
    bench = Bench(queue=queue)
    host = bench.host(capacity=2)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    taking = in_thread(lambda: host.submit([ref(2)]))
    for number in range(1, 7):
        bench.engine.await_begun(min(number + 1, 6))
        assert len(bench.engine.live) <= 2
        bench.engine.finish(ref(number))
    taking.join(WAIT_S)
    assert not taking.is_alive()
    assert bench.engine.begun == [ref(number) for number in range(1, 7)]
    assert max(queue.asked) <= 2
    host.close()


def test_what_exceeds_the_free_places_of_taken_messages_returns_to_its_queue() -> None:
    waiting = [
        Waiting(Queue.INTERACTIVE, [ref(3), ref(4)]),
        Waiting(Queue.BATCH, [ref(5), ref(6), ref(7)]),
    ]
    queue = WaitingMessages(waiting=waiting)
    bench = Bench(queue=queue)
    host = bench.host(capacity=5)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    host.submit([ref(2)])
    bench.engine.await_begun(5)
    assert bench.engine.begun == [ref(number) for number in range(1, 6)]
    host.close()
    assert queue.sent == [ref(6), ref(7)]
    assert queue.queues == {ref(6): Queue.BATCH, ref(7): Queue.BATCH}
    assert queue.first


@pytest.mark.parametrize("is_down", [False, True])
def test_a_thread_that_takes_messages_ends_with_the_host(is_down: bool) -> None:
    queue = WaitingMessages()
    bench = Bench(queue=queue)
    host = bench.host(capacity=2)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    queue.down = is_down
    taking = in_thread(lambda: host.submit([ref(2)]))  # there is no free place for another one
    bench.engine.await_begun(2)
    host.stop()
    taking.join(WAIT_S)
    assert not taking.is_alive()
    assert bench.closed.wait(WAIT_S)


def test_a_queue_that_cannot_be_reached_costs_no_places() -> None:
    queue = WaitingMessages(down=True)
    bench = Bench(queue=queue)
    host = bench.host(capacity=6)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    host.submit([ref(2)])
    host.submit([ref(3)])
    queue.down, queue.waiting = False, one_each(5)
    host.submit([ref(4)])
    bench.engine.await_begun(5)
    assert queue.asked == [2]
    host.stop()
    assert bench.closed.wait(WAIT_S)


def test_a_run_that_raises_gives_its_place_back(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(engine=Engine(faults=True))
    host = bench.host(capacity=1)

    with caplog.at_level(logging.ERROR):
        host.submit([ref(1)])
        host.submit([ref(2)])
        bench.engine.await_begun(2)
        host.close()

    assert [vars(record)["run_id"] for record in caplog.records] == ["run_1", "run_2"]


def test_stopping_hands_over_what_runs_and_sends_back_what_waits() -> None:
    bench = Bench()
    host = bench.host(capacity=1)
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    bench.engine.stubborn = True
    waiting = in_thread(lambda: host.submit([ref(2)]))

    host.stop()
    waiting.join(WAIT_S)

    assert bench.queue.sent == [ref(2)]
    bench.engine.finish(ref(1))
    host.close()
    assert bench.closed.is_set()
    assert bench.engine.begun == [ref(1)]


def test_a_queue_that_is_down_does_not_keep_the_host_from_stopping() -> None:
    bench = Bench(queue=Messages(down=True))
    host = bench.host()
    host.stop()

    host.submit([ref(1)])

    host.close()
    assert bench.closed.is_set()
    assert bench.engine.begun == []


def test_a_run_that_comes_after_the_end_is_left_to_the_reaper(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    host = bench.host()
    host.close()

    with caplog.at_level(logging.WARNING):
        host.submit([ref(1)])

    assert [vars(record)["action"] for record in caplog.records] == ["worker.requeue_failed"]
    assert (bench.engine.begun, bench.queue.sent) == ([], [])


def test_at_the_end_of_the_grace_time_calls_under_way_are_given_up() -> None:
    bench = Bench(engine=Engine(stubborn=True))
    host = bench.host(grace=timedelta(milliseconds=1))
    host.submit([ref(1)])
    bench.engine.await_begun(1)

    host.close()

    assert bench.engine.aborted
    assert bench.engine.cancelled == 0
    assert bench.closed.is_set()


def test_a_run_that_outlasts_even_that_is_cancelled() -> None:
    bench = Bench(engine=Engine(stubborn=True, deaf=True))
    host = bench.host(grace=timedelta(milliseconds=1), patience=timedelta(milliseconds=1))
    host.submit([ref(1)])
    bench.engine.await_begun(1)

    host.stop()

    assert bench.closed.wait(WAIT_S)
    assert bench.engine.cancelled == 1


def test_a_reaper_that_fails_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(reaper=Reaper(faults=2))

    host = bench.host(patience=timedelta(milliseconds=1))

    assert bench.reaper.works.wait(WAIT_S)
    host.stop()
    assert bench.closed.wait(WAIT_S)

    assert [record.message for record in caplog.records] == ["The reaper failed"] * 2


def test_an_error_of_the_composition_is_raised_by_start() -> None:
    @asynccontextmanager
    async def fails() -> AsyncGenerator[Runtime]:
        raise UsageError("no store")
        yield

    host = Host(fails, capacity=1, grace=timedelta(seconds=1))

    with pytest.raises(UsageError):
        host.start()


def test_an_exit_raised_by_a_task_of_a_tool_does_not_end_the_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench, lost = Bench(), threading.Event()
    host = Host(bench.open, capacity=2, grace=timedelta(seconds=5), on_lost=lost.set)
    host.start()
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    loop = bench.engine.loop
    assert loop is not None

    async def leave(kind: type[BaseException]) -> None:
        raise kind

    with caplog.at_level(logging.ERROR):
        for kind in (SystemExit, KeyboardInterrupt):
            future = asyncio.run_coroutine_threadsafe(leave(kind), loop)
            with pytest.raises(kind):
                future.result(WAIT_S)
        host.submit([ref(2)])
        bench.engine.await_begun(2)
        host.close()

    assert [vars(record)["action"] for record in caplog.records] == ["loop.exit_ignored"] * 2
    assert (host.is_lost, lost.is_set(), bench.closed.is_set()) == (False, False, True)


def test_a_host_whose_loop_has_ended_reports_it_and_can_be_stopped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench, lost = Bench(), threading.Event()
    host = Host(bench.open, capacity=2, grace=timedelta(seconds=5), on_lost=lost.set)
    host.start()
    host.submit([ref(1)])
    bench.engine.await_begun(1)
    assert bench.engine.loop is not None

    with caplog.at_level(logging.CRITICAL):
        bench.engine.loop.call_soon_threadsafe(bench.engine.loop.stop)
        assert lost.wait(WAIT_S)

    assert [vars(record)["action"] for record in caplog.records] == ["worker.loop_ended"]
    assert host.is_lost
    host.beat(lambda: None)
    host.submit([ref(2)])
    host.close()
    assert bench.engine.begun == [ref(1)]
