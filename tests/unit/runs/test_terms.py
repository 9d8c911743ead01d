"""Ownership of runs if processes have no common live state: terms in the log, and reading it.

Time is virtual: timers fire at once, in order, and every process has a live state of its own.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec

import pytest
from tests.simulation.world import VirtualLoop, run_virtually
from tests.support.runs import TENANT, Cluster, ShiftedClock, closing_clusters, solo

from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.errors import DeliveryError
from teamrun.live.memory import MemoryLive
from teamrun.messages.llm import CreateResult
from teamrun.runs.engine.engine import Engine
from teamrun.runs.engine.finish import Finish, Receipt
from teamrun.runs.engine.ownership import Ownership
from teamrun.runs.log.announcer import lease_name
from teamrun.runs.log.entries import Claim, Entry, Step
from teamrun.runs.log.state import fold
from teamrun.runs.service.resources import Event
from teamrun.storage.memory import MemoryStore
from teamrun.testing import Fault, FaultStore, ScriptedModel
from teamrun.tools.base import Tool
from teamrun.tools.function import FunctionTool

P = ParamSpec("P")

LEASE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
PROBE = 5 * SECOND
_STEPS = 100_000
"""Of the loop; a test that takes more waits for something that never happens."""
CALL: dict[str, Any] = {"tool_calls": [{"name": "work", "arguments": {}}]}


def virtually(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run a test on a loop of virtual time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def closing() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.allow(_STEPS)
            async with closing_clusters():
                await test(*args, **kwargs)

        run_virtually(closing())

    return run


class LoopClock(ShiftedClock):
    """The time of the running loop."""

    def __init__(self) -> None:
        super().__init__()
        self._start = super().now()

    def now(self) -> datetime:
        seconds = asyncio.get_running_loop().time()
        return self._start + timedelta(seconds=seconds) + self.shift


class Work:
    """A tool that takes some seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begun = asyncio.Event()
        self.times = 0
        self.interrupted_at: float | None = None

    async def work(self) -> str:
        """Do it."""
        self.times += 1
        self.begun.set()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.interrupted_at = now()
            raise
        return "done"


class Counted(ScriptedModel):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__(["one", "DONE"])
        self.count = 0

    def for_agent(self, name: str) -> "Counted":
        return self

    async def create(self, messages: Any, **options: Any) -> CreateResult:
        self.count += 1
        return await super().create(messages, **options)


def now() -> float:
    return asyncio.get_running_loop().time()


def apart(work: Work | None = None, **options: Any) -> Cluster:
    """Processes without a common live state."""
    tools: list[Tool] = [FunctionTool(work.work, description="Work.")] if work else []
    team = solo(*(tool.name for tool in tools), reflect_on_tool_use=bool(tools))
    script = {"a": [CALL, "DONE"] if work else ["DONE"]}
    options = {"script": script, "team": team, "is_live_shared": False, **options}
    return Cluster(tools=tools, clock=LoopClock(), lease=LEASE, **options)


async def claim_and_die(cluster: Cluster, ref: RunRef, claim: Claim) -> datetime:
    """Leave what a killed worker leaves, and return the time of its claim."""
    log = cluster.log(ref, claim.owner)
    state = await log.state()
    assert state is not None
    entry = await log.append(state, claim, [], epoch=state.epoch + 1)
    assert entry is not None
    return entry.at


def termed(cluster: Cluster, owner: str = "dead") -> Claim:
    seconds = LEASE.total_seconds()
    return Claim(owner=owner, until=cluster.clock.now() + LEASE, term_seconds=seconds)


def renewals(entries: list[Entry]) -> list[Entry]:
    return [e for e in entries if isinstance(e.body, Step) and not e.body.calls and not e.events]


@virtually
async def test_a_claim_has_a_term_and_only_a_long_call_costs_entries_that_renew_it() -> None:
    work = Work(seconds=5 * LEASE.total_seconds())
    cluster = apart(work)
    ref = await cluster.submit()

    assert await cluster.worker().execute(ref) is Finish.ENDED

    entries = await cluster.entries(ref)
    [claim] = [e for e in entries if isinstance(e.body, Claim)]
    assert isinstance(claim.body, Claim)
    assert (claim.body.until, claim.body.term_seconds) == (claim.at + LEASE, 60)
    assert len(renewals(entries)) == 9  # one per half lease
    for n in range(claim.n + 1, len(entries) - 1):
        state = fold(entries[:n])
        assert state is not None and state.until is not None
        assert entries[n].at < state.until  # the owner never lets it lapse
    quick = apart(Work(seconds=20))
    ref = await quick.submit()
    assert await quick.worker().execute(ref) is Finish.ENDED
    assert renewals(await quick.entries(ref)) == []


@virtually
async def test_with_shared_live_state_a_claim_has_no_term() -> None:
    cluster = Cluster({"a": ["DONE"]}, team=solo(), clock=LoopClock())
    ref = await cluster.submit()
    assert await cluster.worker().execute(ref) is Finish.ENDED
    [claim] = [e.body for e in await cluster.entries(ref) if isinstance(e.body, Claim)]
    assert (claim.until, claim.term_seconds) == (None, None)


@dataclass(frozen=True)
class Case:
    id: str
    after: timedelta
    """When another worker gets a message, after the claim of the dead one."""
    finish: Finish
    until: timedelta | None = LEASE
    term_seconds: float | None = 60
    is_live_shared: bool = False


CASES = [
    Case("within the term", LEASE / 2, Finish.HELD),
    Case("within the tolerance", 2 * LEASE - SECOND, Finish.HELD),
    Case("after both", 2 * LEASE, Finish.ENDED),
    Case("before a platform's deadline", 16 * LEASE - SECOND, Finish.HELD, 15 * LEASE, None),
    Case("after a platform's deadline", 16 * LEASE, Finish.ENDED, 15 * LEASE, None),
    Case("an older claim, silent for a lease", 2 * LEASE - SECOND, Finish.HELD, None, None),
    Case("an older claim, silent for two", 2 * LEASE, Finish.ENDED, None, None),
    Case("a term, and leases here", 2 * LEASE - SECOND, Finish.HELD, is_live_shared=True),
    Case("a term that is over, and leases", 2 * LEASE, Finish.ENDED, is_live_shared=True),
]


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
@virtually
async def test_a_dead_owners_run_is_taken_over_after_its_term(case: Case) -> None:
    cluster = Cluster(
        {"a": ["DONE"]}, team=solo(), clock=LoopClock(), is_live_shared=case.is_live_shared
    )
    ref = await cluster.submit()
    until = None if case.until is None else cluster.clock.now() + case.until
    claim = Claim(owner="dead", until=until, term_seconds=case.term_seconds)
    await claim_and_die(cluster, ref, claim)
    await cluster.live.age()
    worker = cluster.worker("heir")

    await asyncio.sleep(case.after.total_seconds())

    assert await worker.execute(ref) is case.finish
    if case.finish is Finish.HELD:
        assert case.finish.receipt is Receipt.RETURN_LATER
        pause = await worker.pause(ref)
        free_at = 2 * LEASE if case.until is None else case.until + LEASE
        least = LEASE / 4 if case.is_live_shared else PROBE
        expected = LEASE if case.until is None else max(free_at - case.after, least)
        assert abs(pause - expected) < SECOND / 1000
        await asyncio.sleep(pause.total_seconds())  # as a queue does that delays the message
        assert await worker.execute(ref) is Finish.ENDED


@virtually
async def test_an_owner_that_yields_is_followed_at_once() -> None:
    work = Work(seconds=1000)
    cluster = apart(work)
    ref = await cluster.submit()
    async with cluster.working(ref) as (engine, finish):
        await work.begun.wait()
        cluster.queue.waiting.clear()
        engine.abort()
        assert await finish is Finish.YIELDED
        assert [*cluster.queue.waiting] == [ref]
    work.seconds = 1
    began = now()
    assert await cluster.worker("w2").execute(ref) is Finish.ENDED
    assert now() - began < 5


@virtually
async def test_a_stopping_worker_whose_queue_is_down_returns_the_message() -> None:
    work = Work(seconds=1000)
    cluster = apart(work)
    ref = await cluster.submit()
    async with cluster.working(ref) as (engine, finish):
        await work.begun.wait()
        cluster.queue.is_down = True
        engine.abort()
        assert (await finish).receipt is Receipt.RETURN
        assert (await engine.execute(ref)).receipt is Receipt.RETURN


@virtually
async def test_an_owner_that_stood_still_past_its_term_begins_no_call() -> None:
    store = FaultStore(MemoryStore())
    model = Counted()
    cluster = apart(model=model, store=store)
    ref = await cluster.submit()
    # The entry of the first call is durable, and its writer hears of it much later.
    stall = store.plan(Fault(outcome="reply_held", method="put_new", key="*/log/000002.json"))
    async with cluster.working(ref, "slow") as (_, finish):
        await stall.reached.wait()
        await asyncio.sleep(2 * LEASE.total_seconds())
        heir = asyncio.ensure_future(cluster.worker("heir").execute(ref))
        blocked = store.plan(Fault(outcome="held", method="put_new", key="*/log/000004.json"))
        await blocked.reached.wait()  # the heir has made the second call and records it
        stall.release.set()
        assert await finish is Finish.HELD
        blocked.release.set()
        assert await heir is Finish.ENDED
    assert model.count == 2


@virtually
async def test_an_owner_that_stood_still_and_was_not_replaced_goes_on() -> None:
    store = FaultStore(MemoryStore())
    model = Counted()
    cluster = apart(model=model, store=store)
    ref = await cluster.submit()
    stall = store.plan(Fault(outcome="reply_held", method="put_new", key="*/log/000002.json"))
    async with cluster.working(ref) as (_, finish):
        await stall.reached.wait()
        await asyncio.sleep(2 * LEASE.total_seconds())
        stall.release.set()
        assert await finish is Finish.ENDED
    assert model.count == 2
    renewed = (await cluster.entries(ref))[3].body  # written before the second call
    assert isinstance(renewed, Step) and not renewed.calls


@virtually
async def test_an_owner_with_a_deadline_stops_before_it_and_renews_nothing() -> None:
    work = Work(seconds=10_000)
    cluster = apart(work)
    ref = await cluster.submit()
    deadline = cluster.clock.now() + 15 * LEASE

    finish = await cluster.worker().execute(ref, deadline=deadline)

    assert (finish, finish.receipt) == (Finish.YIELDED, Receipt.ACKNOWLEDGE)
    entries = await cluster.entries(ref)
    [claim] = [e.body for e in entries if isinstance(e.body, Claim)]
    assert (claim.until, claim.term_seconds) == (deadline, None)
    assert renewals(entries) == []
    assert entries[-1].at < deadline


async def lose_the_race(cluster: Cluster, ref: RunRef, store: FaultStore) -> None:
    """Let the worker `slow` write between the look of another one at the log and its claim."""
    await asyncio.sleep(2 * LEASE.total_seconds())
    delayed = store.plan(Fault(outcome="held", method="put_new", key="*/log/000002.json"))
    heir = asyncio.ensure_future(cluster.worker("heir").execute(ref))
    await delayed.reached.wait()
    log = cluster.log(ref, "slow")
    state = await log.state()
    assert state is not None
    assert await log.append(state, Step(), [], epoch=state.epoch) is not None
    delayed.release.set()

    assert await heir is Finish.HELD
    assert [entry.body.kind for entry in await cluster.entries(ref)][-1] == "step"


@virtually
async def test_a_claim_that_loses_the_race_to_a_renewal_is_given_up() -> None:
    store = FaultStore(MemoryStore())
    cluster = apart(store=store)
    ref = await cluster.submit()
    await claim_and_die(cluster, ref, termed(cluster, "slow"))
    await lose_the_race(cluster, ref, store)


@virtually
async def test_a_claim_that_loses_the_race_to_an_owner_with_a_lease_is_given_up() -> None:
    """A worker that was frozen between its lease and its claim does not disturb a live owner."""
    store = FaultStore(MemoryStore())
    live = MemoryLive(clock=asyncio.get_running_loop().time)
    cluster = apart(store=store, live=live, is_live_shared=True)
    ref = await cluster.submit()
    await live.age()
    await claim_and_die(cluster, ref, Claim(owner="slow"))
    await lose_the_race(cluster, ref, store)


@virtually
async def test_renewals_are_no_progress() -> None:
    cluster = apart()
    ref = await cluster.submit()
    for _ in range(5):
        await claim_and_die(cluster, ref, termed(cluster))
        log = cluster.log(ref, "dead")
        state = await log.state()
        assert state is not None
        await log.append(state, Step(), [], epoch=state.epoch)
    await asyncio.sleep(2 * LEASE.total_seconds())

    assert await cluster.worker().execute(ref) is Finish.ENDED

    run = await cluster.service.get(TENANT, ref.run_id)
    assert (run.status, run.stop_code) == ("failed", "poison")


@virtually
async def test_a_reaper_leaves_a_run_in_its_term_and_does_not_read_it_again() -> None:
    store = FaultStore(MemoryStore())
    cluster = apart(store=store)
    ref = await cluster.submit()
    await claim_and_die(cluster, ref, termed(cluster))
    cluster.queue.sent.clear()
    reaper = cluster.reaper()
    store.calls.clear()

    sent = [await reaper.sweep()]
    reads = len([call for call in store.calls if "/log/" in call.key])
    for _ in range(23):
        await asyncio.sleep(5)
        sent.append(await reaper.sweep())

    assert sum(sent) == 0
    assert len([call for call in store.calls if "/log/" in call.key]) == reads
    await asyncio.sleep(5)
    assert await reaper.sweep() == 1
    assert cluster.queue.sent == [ref]
    assert await cluster.worker().execute(ref) is Finish.ENDED


@pytest.mark.parametrize("mode", ["now", "graceful"])
@virtually
async def test_a_cancel_reaches_an_owner_that_hears_of_nothing(mode: Any) -> None:
    work = Work(seconds=47)
    cluster = apart(work)
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, finish):
        await work.begun.wait()
        await asyncio.sleep(7)
        asked = now()
        await cluster.service.cancel(TENANT, ref.run_id, mode=mode)
        assert await finish is Finish.ENDED
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "cancelled"
    if mode == "now":
        assert work.interrupted_at is not None
        assert work.interrupted_at - asked <= PROBE.total_seconds()
    else:
        assert work.interrupted_at is None


@virtually
async def test_followers_in_another_process_see_each_event_within_a_second_or_two() -> None:
    cluster = apart(Work(seconds=30))
    ref = await cluster.submit()
    async with cluster.working(ref) as (_, finish):
        waiting = asyncio.ensure_future(
            cluster.service.wait(TENANT, ref.run_id, timeout=timedelta(minutes=5))
        )
        async for event in cluster.service.follow(TENANT, ref.run_id):
            assert isinstance(event, Event)
            assert cluster.clock.now() - event.time <= 2 * SECOND
        assert (await waiting).status == "completed"
        assert cluster.clock.now() - (await cluster.entries(ref))[-1].at <= 2 * SECOND
        assert await finish is Finish.ENDED


@virtually
async def test_a_run_in_flight_costs_one_read_of_one_object_per_probe() -> None:
    store = FaultStore(MemoryStore())
    work = Work(seconds=1000)
    cluster = apart(work, store=store)
    ref = await cluster.submit()
    async with cluster.working(ref):
        await work.begun.wait()
        await asyncio.sleep(1)  # its events are in the log
        store.calls.clear()
        await asyncio.sleep(60)
        methods = [call.method for call in store.calls]
    assert methods.count("get_many") == 12
    assert set(methods) == {"get_many", "put_new"}
    assert methods.count("put_new") == 2


class Deaf(MemoryLive):
    """No notice arrives."""

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncGenerator[AsyncIterator[bytes], None]:
        raise DeliveryError("The channel is down.")
        yield


@virtually
@pytest.mark.parametrize(("live", "reads"), [(MemoryLive, 1), (Deaf, 13)])
async def test_a_run_in_flight_is_read_once_per_lease_while_notices_arrive(
    live: type[MemoryLive], reads: int
) -> None:
    store = FaultStore(MemoryStore())
    work = Work(seconds=1000)
    clock = asyncio.get_running_loop().time
    cluster = apart(work, store=store, live=live(clock=clock), is_live_shared=True)
    ref = await cluster.submit()
    async with cluster.working(ref):
        await work.begun.wait()
        await asyncio.sleep(1)  # its events are in the log
        store.calls.clear()
        await asyncio.sleep(LEASE.total_seconds())
        methods = [call.method for call in store.calls]
    assert methods.count("get_many") == reads
    assert "list" not in methods


async def test_all_leases_are_renewed_together() -> None:
    class Meeting(MemoryLive):
        waiting = 0

        async def acquire(self, name: str, owner: str, lease: timedelta) -> bool:
            self.waiting += 1
            if self.waiting == 3:
                met.set()
            await asyncio.wait_for(met.wait(), 5)
            return await super().acquire(name, owner, lease)

    met, live = asyncio.Event(), Meeting()
    ownership = Ownership(live=live, owner="w", lease=LEASE, clock=SystemClock())
    refs = [RunRef("default", f"run_{n}") for n in range(3)]
    await ownership.renew(refs)
    assert await live.held([lease_name(ref) for ref in refs]) == [True] * 3


RECEIPTS = {
    Finish.ENDED: Receipt.ACKNOWLEDGE,
    Finish.YIELDED: Receipt.ACKNOWLEDGE,
    Finish.WAITING: Receipt.ACKNOWLEDGE,
    Finish.ABSENT: Receipt.ACKNOWLEDGE,
    Finish.REFUSED: Receipt.RETURN,
    Finish.HELD: Receipt.RETURN_LATER,
    Finish.FAILED: Receipt.RETURN_LATER,
    Finish.UNREADABLE: Receipt.RETURN_LATER,
}


def test_every_finish_says_what_becomes_of_the_message() -> None:
    assert {finish: finish.receipt for finish in Finish} == RECEIPTS


@virtually
async def test_a_message_is_kept_for_a_lease_if_the_log_cannot_say() -> None:
    store = FaultStore(MemoryStore())
    cluster = apart(store=store)
    ref = await cluster.submit()
    worker: Engine = cluster.worker()
    assert await worker.pause(ref) == LEASE
    store.plan(Fault(outcome="unavailable", times=None))
    assert await worker.pause(ref) == LEASE
    store.heal()


@virtually
async def test_leases_do_not_count_if_they_are_not_shared() -> None:
    cluster = apart()
    ref = await cluster.submit()
    worker = cluster.worker()
    await claim_and_die(cluster, ref, termed(cluster))
    await cluster.live.acquire(lease_name(ref), "dead", 100 * LEASE)
    await asyncio.sleep(2 * LEASE.total_seconds())
    assert await worker.execute(ref) is Finish.ENDED
