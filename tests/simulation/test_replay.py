"""Replay compared with execution: the real engine, random programs, a crash after every append.

A failing seed is printed; `SEED=n` repeats it, `SEEDS=n` runs that many fresh ones.
"""

import asyncio
import os
import random
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.simulation.program import Code, Outside
from tests.simulation.world import EPOCH, Died, ProcessStore, VirtualClock, run_virtually
from tests.support import examples

from teamrun.components.definitions.agents import AssistantDefinition
from teamrun.components.definitions.teams import RoundRobinDefinition
from teamrun.core.refs import RunRef
from teamrun.runs.engine.execution import Execution
from teamrun.runs.engine.finish import Finish
from teamrun.runs.log.attempts import without_end
from teamrun.runs.log.entries import Accepted, Claim, End, Entry, Signal, calls_of
from teamrun.runs.log.keys import entry_key
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.spec import RunSpec, TeamRef
from teamrun.runs.log.state import RunState, fold
from teamrun.storage.memory import MemoryStore

REF = RunRef("default", "run_1")


class Nobody:
    def delta(self, data: dict[str, Any]) -> None:
        pass

    async def will_wait(self, until: datetime) -> None:
        pass


@dataclass
class Case:
    seed: int
    store: MemoryStore = field(default_factory=MemoryStore)
    crashes: int = 0
    rivals: int = 0
    """Workers that took the run over while its owner was still at work."""
    lost_replies: int = 0
    in_flight_at_crash: int = 0
    threads: list[list[Any]] = field(default_factory=list[list[Any]])

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.outside = Outside(self.rng)


def spec(seed: int) -> RunSpec:
    agent = AssistantDefinition(name="a", model="m")
    return RunSpec(
        tenant=REF.tenant,
        run_id=REF.run_id,
        team=TeamRef(name="t", digest="d"),
        definition=RoundRobinDefinition(name="t", participants=(agent,)),
        models={},
        tools={},
        input="go",
        seed=f"{seed:032x}",
        created_at=EPOCH,
        request_hash="",
    )


def log_of(store: Any, writer: str) -> RunLog:
    return RunLog(store, REF, writer=writer, clock=VirtualClock())


async def begin(log: RunLog, spec: RunSpec) -> None:
    initial = RunState.initial(spec, spec.created_at)
    await log.append(initial, Accepted(spec=spec), [], epoch=0)


async def execute(case: Case, store: Any, code: Code, writer: str) -> tuple[Finish, Execution]:
    log = log_of(store, writer)
    entries = await log.read()
    state = fold(entries)
    assert state is not None
    execution = Execution(
        log=log,
        entries=entries,
        state=state,
        program=code,
        clock=VirtualClock(),
        observer=Nobody(),
    )
    return await execution.run(), execution


async def live_until_the_end(case: Case, *, die_at: int | None, cancel: bool) -> list[Entry]:
    """Drive the run: the first worker dies at the chosen append, others at random ones."""
    await begin(log_of(case.store, "api"), spec(case.seed))
    canceller = asyncio.ensure_future(cancel_later(case)) if cancel else None
    for attempt in range(100):
        store = ProcessStore(case.store, case.rng)
        random_death = case.rng.randint(1, 12) if attempt < 4 and case.rng.random() < 0.7 else None
        store.die_at = die_at if attempt == 0 and die_at else random_death
        code = Code(case.outside)
        try:
            finish, _ = await execute(case, store, code, f"w{attempt}")
        except Died:
            case.crashes += 1
            continue
        finally:
            case.lost_replies += store.lost_replies
        if code.thread:  # empty if the end was durable before its writer died
            case.threads.append(code.thread)
        if finish is Finish.ENDED:
            break
    else:
        raise AssertionError("the run did not end")
    if canceller is not None:
        await canceller
    return await log_of(case.store, "reader").read()


async def cancel_later(case: Case) -> None:
    await asyncio.sleep(case.rng.choice([0.01, 0.1, 0.5, 1, 2]))
    log = log_of(case.store, "canceller")
    while (state := await log.state()) is not None and state.end is None:
        if await log.append(state, Signal(signal="cancel"), [], epoch=state.epoch):
            return


async def replayed(case: Case, entries: list[Entry]) -> tuple[list[Entry], Code]:
    """Replay the same log without its end; no call may be made."""
    store, before = MemoryStore(), without_end(entries).before
    for key in await case.store.list(""):
        if not key.endswith(f"{entries[-1].n:06d}.json"):
            await store.put_new(key, await case.store.get(key))
    if len(before) == len(entries):  # the end shared its entry with a step
        key = entry_key(log_of(store, "").ref, before[-1].n)
        await store.put_new(key, before[-1].to_json())
    outside = Outside(random.Random(0), forbidden=True)
    code = Code(outside)
    finish, _ = await execute(case, store, code, "verifier")
    assert finish is Finish.ENDED
    return await log_of(store, "reader").read(), code


def events_of(entries: list[Entry]) -> list[tuple[str, str | None, Any]]:
    return [(e.type, e.agent, e.data) for entry in entries for e in entry.events]


def check_log(case: Case, entries: list[Entry]) -> None:
    seq, epoch, recorded = 1, 0, dict[str, int]()
    for n, entry in enumerate(entries):
        assert (entry.n, entry.seq) == (n, seq), "numbers have neither gaps nor repeats"
        seq += len(entry.events)
        epoch += isinstance(entry.body, Claim)
        assert entry.epoch == epoch, "only the newest claimer writes"
        for call in calls_of(entry.body):
            recorded[call.call_id] = recorded.get(call.call_id, 0) + 1
    assert isinstance(entries[-1].body, End)
    assert sum(isinstance(entry.body, End) for entry in entries) == 1
    assert all(count == 1 for count in recorded.values()), "a call has one outcome"
    for call_id, count in case.outside.made.items():
        # Paid again: at most what was in flight at a crash (a loser may also be cut off live).
        assert count <= 1 + case.crashes + case.rivals, call_id


async def one(seed: int, *, die_at: int | None = None, cancel: bool = False) -> Case:
    case = Case(seed)
    entries = await live_until_the_end(case, die_at=die_at, cancel=cancel)
    check_log(case, entries)
    end = entries[-1].body
    assert isinstance(end, End)
    if any(isinstance(entry.body, Signal) for entry in entries):
        assert end.status == "cancelled"
        return case
    assert end.status == "completed", end
    again, code = await replayed(case, entries)
    assert case.threads in ([], [code.thread]), "run code saw something else"
    before, last = without_end(entries)
    assert again[: len(before)] == before
    relast = again[-1]
    assert isinstance(relast.body, End)
    assert relast.body.output == end.output
    assert events_of([relast]) == events_of([last]), "the end tells the same"
    return case


async def with_rivals(seed: int) -> Case:
    """Workers that all believe the run is theirs: no lease keeps them apart, only the log."""
    case = Case(seed)
    case.rivals = case.rng.randint(1, 4)
    await begin(log_of(case.store, "api"), spec(seed))

    async def rival(k: int) -> Finish:
        await asyncio.sleep(k and case.rng.random() * 2)
        store = ProcessStore(case.store, case.rng)
        return (await execute(case, store, Code(case.outside), f"w{k}"))[0]

    finishes = await asyncio.gather(*(rival(k) for k in range(case.rivals + 1)))
    assert Finish.ENDED in finishes
    entries = await log_of(case.store, "reader").read()
    check_log(case, entries)
    again, _ = await replayed(case, entries)
    assert again[-1].body == without_end(entries).end.body
    return case


def seeds(count: int) -> list[int]:
    if "SEED" in os.environ:
        return [int(os.environ["SEED"])]
    fresh, wanted = random.Random(secrets.randbits(64)), os.environ.get("SEEDS")
    return [
        fresh.randrange(1 << 48) for _ in (range(int(wanted)) if wanted else examples.seeds(count))
    ]


def attempt(seed: int, *, rivals: bool = False, **options: Any) -> Case:
    try:
        return run_virtually(with_rivals(seed) if rivals else one(seed, **options))
    except BaseException as error:
        error.add_note(f"repeat with SEED={seed} and {options}")
        raise


def test_a_replay_sees_what_the_live_run_saw() -> None:
    cases = [attempt(seed) for seed in seeds(150)]
    print(
        f"seeds={len(cases)} crashes={sum(c.crashes for c in cases)} "
        f"lost_replies={sum(c.lost_replies for c in cases)}"
    )
    assert os.environ.get("SEED") or sum(case.crashes for case in cases) > 0


def test_a_crash_at_any_append_is_recovered_from() -> None:
    for seed in seeds(4):
        appends = len(run_virtually(appends_of(seed)))
        for die_at in range(1, appends + 1):
            attempt(seed, die_at=die_at)


async def appends_of(seed: int) -> list[Entry]:
    return await live_until_the_end(Case(seed), die_at=None, cancel=False)


def test_a_cancel_at_any_time_is_the_end() -> None:
    ends = [attempt(seed, cancel=True) for seed in seeds(60)]
    assert ends


def test_workers_without_a_lease_are_kept_apart_by_the_log() -> None:
    cases = [attempt(seed, rivals=True) for seed in seeds(100)]
    assert sum(case.rivals for case in cases) > 0
