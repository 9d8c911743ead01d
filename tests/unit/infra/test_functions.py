"""What every cloud function does with the runtime, on a store and a queue in memory."""

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.batches import pieces
from tests.support.receiver import Receiver, receiving

from teamrun.batches.requests import BatchRequest
from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.errors import StorageError, Unavailable
from teamrun.live.memory import MemoryLive
from teamrun.runs.log.entries import Claim, Yield
from teamrun.runs.log.keys import entry_name, log_folder
from teamrun.runs.log.log import RunLog
from teamrun.runs.service.requests import RunRequest
from teamrun.runtime import Backends, Runtime, open_runtime
from teamrun.settings import CommonSettings
from teamrun.storage.memory import MemoryStore
from teamrun.testing import MemoryQueue
from teamrun_infra import termination
from teamrun_infra.functions import FunctionHost, Outcome

TENANT = "default"
NEVER: dict[str, str] = {}
FILE = """\
models:
  main: {type: scripted, latency_ms: 5, script: {poet: ["Rain.", "More rain."]}}
  slow: {type: scripted, latency_ms: 60000, script: {slow: ["Snow."]}}
  slower: {type: scripted, latency_ms: 1700, script: {snail: ["Rain.", "More rain."]}}
agents:
  {poet: {model: main}, snail: {model: slower}, boss: {type: user_proxy_agent}, slow: {model: slow}}
teams:
  snails: {type: round_robin_group_chat, agents: [snail], max_turns: 2}
  poets: {type: round_robin_group_chat, agents: [poet], max_turns: 2}
  slow: {type: round_robin_group_chat, agents: [slow], max_turns: 1}
  asks: {type: round_robin_group_chat, agents: [boss], max_turns: 1}
"""


def soon(seconds: float = 60) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


class Store(MemoryStore):
    """A store that can stop to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs_at = "never"
        """Lists of folders with this part have no answer."""
        self.hanging = asyncio.Semaphore(0)
        self.refuses_writes = False

    async def put_new(self, key: str, data: bytes) -> bool:
        if self.refuses_writes:
            raise Unavailable("the credentials have expired, as planned")
        return await super().put_new(key, data)

    async def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[str]:
        if self.hangs_at in prefix:
            self.hanging.release()
            await asyncio.Event().wait()
        return await super().list(prefix, after=after, limit=limit)


class Cloud:
    """A store, a queue, and instances of functions; each has a live state of its own."""

    def __init__(self, folder: Path) -> None:
        file = folder / "teamrun.yaml"
        file.write_text(FILE, encoding="utf-8")
        self.settings = CommonSettings(config=file, data_dir=folder, lease_seconds=1)
        self.store = Store()
        self.queue = MemoryQueue()

    def allow(self, receiver: Receiver) -> None:
        hosts = (f"127.0.0.1:{receiver.port}",)
        self.settings = self.settings.model_copy(update={"allowed_hosts": hosts})

    def opens(self, *, executes: bool = True) -> Callable[[], AbstractAsyncContextManager[Runtime]]:
        return lambda: open_runtime(
            self.settings,
            environ=NEVER,
            executes=executes,
            grace=timedelta(),
            backends=lambda _: Backends(self.store, MemoryLive(is_shared=False), self.queue),
            is_frozen=True,
        )

    @asynccontextmanager
    async def function(self, **options: Any) -> AsyncGenerator[FunctionHost]:
        host = FunctionHost(self.opens(**options))
        yield host
        await host.close()

    @asynccontextmanager
    async def api(self) -> AsyncGenerator[Runtime]:
        async with self.function(executes=False) as host:
            yield await host.runtime()

    async def submit(self, runtime: Runtime, **request: Any) -> RunRef:
        asked = RunRequest.model_validate({"team": "poets", "input": "rain", **request})
        return RunRef(TENANT, (await runtime.service.submit(TENANT, asked)).run.id)

    def log(self, ref: RunRef) -> RunLog:
        return RunLog(self.store, ref, writer="test", clock=SystemClock())

    async def types(self, ref: RunRef) -> list[str]:
        """Of the events in the log."""
        return [event.type for entry in await self.log(ref).read() for event in entry.events]

    async def until_called(self, ref: RunRef) -> None:
        """Wait until a call of a model has begun."""
        for _ in range(500):
            if "model.call.started" in await self.types(ref):
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the call has not begun")

    async def status(self, runtime: Runtime, ref: RunRef) -> str:
        return (await runtime.service.get(TENANT, ref.run_id)).status

    def received(self) -> list[RunRef]:
        """The messages that wait; they are removed."""
        refs = [*self.queue.waiting]
        self.queue.waiting.clear()
        return refs


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


async def test_runs_of_one_message_are_executed_and_nothing_goes_on_afterwards(
    cloud: Cloud,
) -> None:
    async with cloud.api() as api, cloud.function() as function:
        refs = [await cloud.submit(api) for _ in range(3)]
        before = asyncio.all_tasks()
        outcomes = await function.execute(cloud.received(), deadline=soon())

        assert outcomes == [Outcome(ref, None) for ref in refs]
        assert {await cloud.status(api, ref) for ref in refs} == {"completed"}
        names = {task.get_name() for task in asyncio.all_tasks() - before}
        assert not any(name.startswith(("deliver", "batch")) for name in names)


async def test_a_run_is_handed_over_before_the_platform_ends_the_function(cloud: Cloud) -> None:
    async with cloud.api() as api, cloud.function() as function:
        ref = await cloud.submit(api, team="snails")
        cloud.received()
        outcomes = await function.execute([ref], deadline=soon(3))

        assert outcomes == [Outcome(ref, None)]
        assert cloud.received() == [ref]
        assert isinstance((await cloud.log(ref).read())[-1].body, Yield)
        await function.execute([ref], deadline=soon())
        run = await api.service.get(TENANT, ref.run_id)
        assert (run.status, run.usage.model_calls) == ("completed", 2)


async def test_a_run_whose_time_is_over_before_its_call_is_paused_before_the_call_is_repeated(
    cloud: Cloud,
) -> None:
    cloud.settings = cloud.settings.model_copy(update={"handover_seconds": 1.5})
    async with cloud.api() as api, cloud.function() as function:
        ref = await cloud.submit(api, team="slow")
        cloud.received()
        executing = asyncio.create_task(function.execute([ref], deadline=soon(4)))
        await cloud.until_called(ref)
        await api.service.pause(TENANT, ref.run_id)
        await executing

        assert await cloud.status(api, ref) == "paused"
        types = await cloud.types(ref)
        assert types[-2:] == ["model.call.started", "run.paused"]


async def test_runs_are_handed_over_when_the_process_is_told_to_end(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termination, "_ANSWER_S", 0.0)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    usual = signal.signal(
        signal.SIGTERM, lambda _number, _frame: loop.call_soon_threadsafe(ended.set)
    )
    try:
        async with cloud.api() as api, cloud.function() as function:
            first, second = [await cloud.submit(api, team="slow") for _ in range(2)]
            cloud.received()
            executing = [
                asyncio.create_task(function.execute([ref], deadline=soon(600)))
                for ref in (first, second)
            ]
            for ref in (first, second):
                await cloud.until_called(ref)
            signal.raise_signal(signal.SIGTERM)
            [[one], [other]] = await asyncio.gather(*executing)

            assert {one, other} == {Outcome(first, None), Outcome(second, None)}
            assert {*cloud.received()} == {first, second}
            assert await function.execute([first], deadline=soon()) == [Outcome(first, timedelta())]
            await asyncio.wait_for(ended.wait(), 10)  # the usual handler has the signal, too
    finally:
        signal.signal(signal.SIGTERM, usual)


async def test_a_process_whose_loop_is_in_another_thread_executes_runs(cloud: Cloud) -> None:
    async def execute() -> list[Outcome]:
        async with cloud.api() as api, cloud.function() as function:
            return await function.execute([await cloud.submit(api)], deadline=soon())

    [(_, pause, _)] = await asyncio.to_thread(asyncio.run, execute())
    assert pause is None


async def test_a_run_of_another_instance_is_to_be_sent_again_after_its_time(cloud: Cloud) -> None:
    async with cloud.api() as api, cloud.function() as function:
        ref = await cloud.submit(api)
        until = soon(100)
        log = cloud.log(ref)
        await log.append(await log.state(), Claim(owner="other", until=until), [], epoch=1)

        [(named, pause, _)] = await function.execute([ref], deadline=soon())
        assert named == ref
        assert pause is not None and timedelta(seconds=90) < pause <= timedelta(seconds=102)


async def test_the_runtime_is_opened_again_after_it_could_not_be(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens, failures = cloud.opens(), [StorageError("the store is away, as planned")]

    @asynccontextmanager
    async def opens_later() -> AsyncGenerator[Runtime]:
        if failures:
            raise failures.pop()
        async with opens() as runtime:
            yield runtime

    function = FunctionHost(opens_later)
    with pytest.raises(StorageError):
        await function.execute([], deadline=soon())
    assert await function.execute([], deadline=soon()) == []
    assert await function.runtime() is await function.runtime()
    await function.close()


async def test_a_webhook_has_been_sent_when_the_invocation_is_over(cloud: Cloud) -> None:
    with receiving() as receiver:
        cloud.allow(receiver)
        async with cloud.api() as api, cloud.function() as function:
            webhook = {"url": f"{receiver.url}/hook", "events": ["run.completed"]}
            ref = await cloud.submit(api, webhook=webhook)
            await function.execute([ref], deadline=soon())
            assert receiver.types == ["run.completed"]


async def test_the_api_has_sent_its_deliveries_to_the_queue_before_it_is_frozen(
    cloud: Cloud,
) -> None:
    with receiving() as receiver:
        cloud.allow(receiver)
        async with cloud.api() as api, cloud.function() as function:
            webhook = {"url": f"{receiver.url}/hook", "events": ["run.cancelled"]}
            ref = await cloud.submit(api, webhook=webhook)
            cloud.received()
            await api.service.cancel(TENANT, ref.run_id)
            await api.settled()

            jobs = [ref for ref in cloud.received() if cloud.queue.queues[ref] is Queue.HOOKS]
            assert len(jobs) == 1
            await function.deliver(jobs, deadline=soon())
            assert receiver.types == ["run.cancelled"]


async def test_a_timer_finds_what_no_message_names(cloud: Cloud) -> None:
    """A run whose message was lost, and a scheduled one."""
    async with cloud.api() as api, cloud.function() as function:
        lost = await cloud.submit(api)
        later = await cloud.submit(api, delay_seconds=1)
        cloud.received()
        found = set[RunRef]()
        async with asyncio.timeout(20):
            while found != {lost, later}:
                await function.look_around(deadline=soon())
                found.update(cloud.received())
                await asyncio.sleep(0.1)


async def test_a_timer_drives_a_batch_to_its_end(cloud: Cloud) -> None:
    async with cloud.api() as api, cloud.function() as timer, cloud.function() as worker:
        lines = b'{"input": "rain"}\n' * 20
        file = await api.batches.files.upload(TENANT, pieces(lines), name="a.jsonl", limit=10**6)
        asked = BatchRequest.model_validate(
            {"team": "poets", "input_file_id": file.id, "max_concurrency": 7}
        )
        batch = (await api.batches.submit(TENANT, asked)).batch

        rounds = asyncio.create_task(timer.look_around(deadline=soon()))
        while not rounds.done():
            await worker.execute(cloud.received(), deadline=soon())
            await asyncio.sleep(0.02)
        await rounds

        ended = await api.batches.get(TENANT, batch.id)
        assert (ended.status, ended.counts.completed) == ("completed", 20)


async def test_a_batch_starts_when_its_message_comes_without_the_timer(cloud: Cloud) -> None:
    async with cloud.api() as api, cloud.function() as function:
        asked = BatchRequest.model_validate(
            {"team": "poets", "items": [{"input": "rain"}] * 3, "max_concurrency": 1}
        )
        batch = (await api.batches.submit(TENANT, asked)).batch
        hints = cloud.received()
        assert [(ref.run_id, cloud.queue.queues[ref]) for ref in hints] == [(batch.id, Queue.HOOKS)]

        async with cloud.function() as worker:
            driving = asyncio.create_task(function.deliver(hints, deadline=soon()))
            while not driving.done():
                await worker.execute(cloud.received(), deadline=soon())
                await asyncio.sleep(0.02)
            await driving
        ended = await api.batches.get(TENANT, batch.id)
        assert (ended.status, ended.counts.completed) == ("completed", 3)


async def test_a_message_of_a_batch_leaves_it_to_the_timer_when_its_time_is_over(
    cloud: Cloud,
) -> None:
    async with cloud.api() as api, cloud.function() as function:
        asked = BatchRequest.model_validate({"team": "poets", "items": [{"input": "rain"}]})
        batch = (await api.batches.submit(TENANT, asked)).batch
        await function.deliver(cloud.received(), deadline=soon(6.5))

        assert (await api.batches.get(TENANT, batch.id)).status == "in_progress"
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("batch")]


async def test_a_batch_is_accepted_and_resumed_while_the_queue_is_away(cloud: Cloud) -> None:
    async with cloud.api() as api:
        asked = BatchRequest.model_validate({"team": "poets", "items": [{"input": "rain"}]})
        cloud.queue.is_down = True
        batch = (await api.batches.submit(TENANT, asked)).batch
        await api.batches.pause(TENANT, batch.id)
        cloud.queue.is_down = False
        await api.batches.resume(TENANT, batch.id)
        assert [ref.run_id for ref in cloud.received()] == [batch.id]


async def test_a_timer_leaves_a_batch_to_the_next_one_when_its_time_is_over(cloud: Cloud) -> None:
    async with cloud.api() as api, cloud.function() as timer:
        asked = BatchRequest.model_validate({"team": "poets", "items": [{"input": "rain"}]})
        batch = (await api.batches.submit(TENANT, asked)).batch
        assert [ref.run_id for ref in cloud.received()] == [batch.id]
        while not (sent := cloud.received()):  # one second may be too short on a busy machine
            await timer.look_around(deadline=soon(6))

            assert (await api.batches.get(TENANT, batch.id)).status == "in_progress"
        assert [ref.run_id[:4] for ref in sent] == ["run_"]
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("batch")]


async def claimed_in_vain(cloud: Cloud, ref: RunRef, *, times: int) -> None:
    """Let workers claim the run and stop, each a while ago."""
    log, over = cloud.log(ref), datetime.now(UTC) - timedelta(hours=1)
    for epoch in range(1, times + 1):
        await log.append(await log.state(), Claim(owner=f"w{epoch}", until=over), [], epoch=epoch)


async def test_a_run_whose_workers_stop_ends_as_failed_when_its_message_is_given_up(
    cloud: Cloud,
) -> None:
    async with cloud.api() as api, cloud.function() as function:
        ref = await cloud.submit(api)
        cloud.received()
        await claimed_in_vain(cloud, ref, times=5)
        for _ in range(2):  # such a message may come twice
            await function.give_up([ref], deadline=soon())

        run = await api.service.get(TENANT, ref.run_id)
        assert (run.status, run.stop_code) == ("failed", "poison")
        assert not cloud.received()


@pytest.mark.parametrize("times", [0, 1, 4])
async def test_a_run_that_may_not_be_the_cause_is_sent_again_when_its_message_is_given_up(
    cloud: Cloud, times: int
) -> None:
    async with cloud.api() as api, cloud.function() as function:
        ref = await cloud.submit(api)
        cloud.received()
        await claimed_in_vain(cloud, ref, times=times)
        await function.give_up([ref], deadline=soon())
        assert cloud.received() == [ref]


async def test_other_runs_are_left_alone_when_their_message_is_given_up(cloud: Cloud) -> None:
    async with cloud.api() as api, cloud.function() as function:
        ended, waits, owned = [
            await cloud.submit(api), await cloud.submit(api, team="asks"), await cloud.submit(api)
        ]  # fmt: skip
        cloud.received()
        await function.execute([ended, waits], deadline=soon())
        log = cloud.log(owned)
        await log.append(await log.state(), Claim(owner="other", until=soon()), [], epoch=1)
        absent = RunRef(TENANT, "run_" + "0" * 26)
        before = [await cloud.log(ref).read() for ref in (ended, waits, owned)]
        await function.give_up([ended, waits, owned, absent], deadline=soon())

        assert [await cloud.log(ref).read() for ref in (ended, waits, owned)] == before
        assert not cloud.received()


async def test_dead_letters_that_take_too_long_are_left_and_the_others_are_settled(
    cloud: Cloud,
) -> None:
    async with cloud.api() as api, cloud.function() as function:
        stuck, fine = await cloud.submit(api), await cloud.submit(api)
        cloud.received()
        cloud.store.hangs_at = stuck.run_id
        assert await function.give_up([stuck, fine], deadline=soon(1)) == [stuck]
        assert cloud.received() == [fine]


async def test_dead_letters_are_settled_some_at_a_time(cloud: Cloud) -> None:
    async with cloud.api() as api, cloud.function() as function:
        refs = [await cloud.submit(api) for _ in range(6)]
        await function.runtime()
        cloud.store.hangs_at = "/log/"
        settling = asyncio.create_task(function.give_up(refs, deadline=soon()))
        async with asyncio.timeout(10):
            for _ in refs:
                await cloud.store.hanging.acquire()
        settling.cancel()


async def test_a_run_is_left_when_the_store_refuses_writes_until_the_time_is_over(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    async with cloud.api() as api, cloud.function() as function:
        ref = await cloud.submit(api)
        cloud.received()
        await function.runtime()
        cloud.store.refuses_writes = True
        assert await function.execute([ref], deadline=soon(1)) == [Outcome(ref, timedelta())]
        reasons = {each.__dict__["error"] for each in logged(caplog, "storage.put_retried")}
        assert reasons == {"the credentials have expired, as planned"}

        cloud.store.refuses_writes = False
        assert await function.execute([ref], deadline=soon()) == [Outcome(ref, None)]
        assert await cloud.status(api, ref) == "completed"


async def test_the_message_of_a_run_does_not_wait_for_a_store_that_hangs(cloud: Cloud) -> None:
    async with cloud.api() as api, cloud.function() as function:
        ref = await cloud.submit(api)
        cloud.received()
        await function.runtime()
        cloud.store.hangs_at = ref.run_id
        assert await function.execute([ref], deadline=soon(1)) == [Outcome(ref, timedelta())]


async def test_a_time_limit_below_the_hand_over_leaves_time_for_calls(cloud: Cloud) -> None:
    cloud.settings = cloud.settings.model_copy(update={"handover_seconds": 3600.0})
    async with cloud.api() as api, cloud.function() as function:
        ref = await cloud.submit(api)
        cloud.received()
        await function.execute([ref], deadline=soon(29))
        assert await cloud.status(api, ref) == "completed"


async def test_a_damaged_run_is_told_from_one_that_another_instance_has(cloud: Cloud) -> None:
    async with cloud.api() as api, cloud.function() as function:
        ref = await cloud.submit(api)
        cloud.received()
        await cloud.store.put(f"{log_folder(ref)}{entry_name(0)}", b"damaged")
        [outcome] = await function.execute([ref], deadline=soon())
        assert (outcome.pause is not None, outcome.is_unreadable) == (True, True)
        assert await function.give_up([ref], deadline=soon()) == []


def logged(caplog: pytest.LogCaptureFixture, action: str) -> list[logging.LogRecord]:
    return [each for each in caplog.records if each.__dict__.get("action") == action]
