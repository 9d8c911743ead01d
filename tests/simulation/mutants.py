"""The rules of the log, each broken once: the simulator has to notice every one of them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tests.simulation.batch_mutants import BATCH_MUTANTS
from tests.simulation.hook_mutants import HOOK_MUTANTS
from tests.simulation.mutant import Mutant, Patch, background
from tests.simulation.ports import StorePort
from tests.simulation.team_mutants import TEAM_MUTANTS
from tests.simulation.thread_mutants import THREAD_MUTANTS
from tests.simulation.weather import LEASE, ORPHAN, Weather, apart

from teamrun.core.ids import id_time
from teamrun.core.refs import RunRef
from teamrun.live.memory import MemoryLive
from teamrun.runs.engine import engine, execution
from teamrun.runs.engine.admission import Gate
from teamrun.runs.engine.calls import Calls
from teamrun.runs.engine.decision import Decision
from teamrun.runs.engine.drafts import Draft, Drafts
from teamrun.runs.engine.execution import Execution
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.loop import RunLoop
from teamrun.runs.engine.ownership import Tenure
from teamrun.runs.engine.reaper import Reaper
from teamrun.runs.engine.resender import Resender
from teamrun.runs.engine.stops import early_end
from teamrun.runs.engine.warm import WarmRun
from teamrun.runs.log.entries import Accepted, CallRecord, Entry, Signal, Step
from teamrun.runs.log.keys import entry_key
from teamrun.runs.log.log import RunLog
from teamrun.runs.log.snapshot import Snapshot
from teamrun.runs.log.state import RunState, fold
from teamrun.runs.service.acceptance import Acceptance

__all__ = ["MUTANTS"]


def _no_fence(patch: Patch) -> None:
    def apply(self: Any, entry: Entry) -> None:
        self.state.apply(entry)

    patch.setattr(Execution, "_apply", apply)


def _overwrite(patch: Patch) -> None:
    patch.setattr(StorePort, "overwrite", True)


def _no_nonce(patch: Patch) -> None:
    async def put_entry(self: Any, entry: Entry, data: bytes) -> bool:
        return await self._store.put_new(entry_key(self.ref, entry.n), data)

    patch.setattr(RunLog, "_put_entry", put_entry)


def _enqueue_before_write(patch: Patch) -> None:
    write = Acceptance._write  # pyright: ignore[reportPrivateUsage]

    async def write_later(self: Any, ref: RunRef, accepted: Accepted, *rest: Any) -> RunState:
        await self._hint(ref)
        background(write(self, ref, accepted, *rest))
        at = accepted.spec.created_at
        entry = Entry(n=0, epoch=0, writer="api", nonce="", at=at, seq=1, body=accepted)
        state = fold([entry])
        assert state is not None
        return state

    patch.setattr(Acceptance, "_write", write_later)


def _ignore_cancel(patch: Patch) -> None:
    def blind(method: Callable[..., Any], state_of: Callable[[Any], RunState]) -> Any:
        def blinded(self: Any, *args: Any, **options: Any) -> Any:
            state = state_of(self)
            cancel, state.cancel = state.cancel, None
            try:
                return method(self, *args, **options)
            finally:
                state.cancel = cancel

        return blinded

    def inner(part: Any) -> RunState:
        return part._state

    def itself(state: Any) -> RunState:
        return state

    patch.setattr(Decision, "next", blind(Decision.next, inner))
    patch.setattr(Gate, "open", blind(Gate.open, inner))
    patch.setattr(execution, "early_end", blind(early_end, itself))


def _resend_after_a_lost_race(patch: Patch) -> None:
    append = RunLog.append

    async def insist(
        self: RunLog, state: RunState | None, body: Any, events: Any, **options: Any
    ) -> Entry | None:
        while (entry := await append(self, state, body, events, **options)) is None:
            if state is None:
                return None
            for foreign in await self.read(state.entries):
                state.apply(foreign)
            if state.end is not None:
                return None
        return entry

    patch.setattr(RunLog, "append", insist)


def _is_just_written(execution: Any, entry: Entry) -> bool:
    """Whether an entry is the execution's own, and not of a replay."""
    return execution._gate is not None and entry.writer == execution._log.writer


def _own_results_first(patch: Patch) -> None:
    deliver = Execution._deliver  # pyright: ignore[reportPrivateUsage]
    late: defaultdict[int, list[Entry]] = defaultdict(list)

    async def catch_up(self: Any, journal: Journal) -> None:
        self._poked = False
        for entry in await self._read_on():
            self._apply(entry)
            late[id(self)].append(entry)
        if not self._calls.done:
            await deliver_late(self, journal)

    async def deliver_late(self: Any, journal: Journal) -> None:
        for entry in late.pop(id(self), []):
            await deliver(self, journal, entry)

    async def deliver_own(self: Any, journal: Journal, entry: Entry) -> None:
        await deliver(self, journal, entry)
        if _is_just_written(self, entry):
            await deliver_late(self, journal)

    patch.setattr(Execution, "_catch_up", catch_up)
    patch.setattr(Execution, "_deliver", deliver_own)


def _act_on_notices(patch: Patch) -> None:
    append, poke = RunLog.append, Execution.poke
    published: defaultdict[RunRef, list[Signal]] = defaultdict(list)

    async def publish(
        self: RunLog, state: RunState | None, body: Any, events: Any, **options: Any
    ) -> Entry | None:
        entry = await append(self, state, body, events, **options)
        if entry is not None and isinstance(body, Signal):
            published[self.ref].append(body)
        return entry

    def act(self: Any) -> None:
        journal = self._journal
        for signal in published.pop(self._log.ref, []):
            answer = None if journal is None else journal.receive(signal)
            if journal is not None and answer is not None:
                journal.deliver(answer)
                asyncio.get_running_loop().call_soon(journal.loop.drain, 1_000)
        poke(self)

    patch.setattr(RunLog, "append", publish)
    patch.setattr(Execution, "poke", act)


def _resolve_at_once(patch: Patch) -> None:
    begin, deliver = Execution._begin, Execution._deliver  # pyright: ignore[reportPrivateUsage]
    call = Journal.call
    known: dict[int, dict[str, CallRecord]] = {}
    given: defaultdict[int, set[str]] = defaultdict(set)

    def begin_knowing(self: Any, journal: Journal) -> Any:
        steps = [entry.body for entry in self._entries if isinstance(entry.body, Step)]
        known[id(journal)] = {c.call_id: c for step in steps for c in step.calls if not c.unawaited}
        given.pop(id(journal), None)
        return begin(self, journal)

    async def call_knowing(
        self: Journal, agent: str, kind: Any, name: str, position: int, *rest: Any, **options: Any
    ) -> CallRecord:
        call_id = f"{agent}/{kind}:{position}"
        record = known.get(id(self), {}).pop(call_id, None)
        if record is None:
            return await call(self, agent, kind, name, position, *rest, **options)
        given[id(self)].add(call_id)
        return record

    async def deliver_rest(self: Any, journal: Journal, entry: Entry) -> None:
        if isinstance(entry.body, Step):
            left = [c for c in entry.body.calls if c.call_id not in given[id(journal)]]
            entry = replace(entry, body=replace(entry.body, calls=left))
        await deliver(self, journal, entry)

    patch.setattr(Execution, "_begin", begin_knowing)
    patch.setattr(Execution, "_deliver", deliver_rest)
    patch.setattr(Journal, "call", call_knowing)


def _drain_by_ticks(patch: Patch) -> None:
    drain = RunLoop.drain

    def some_ticks(self: Any, most: int) -> bool:
        for _ in range(4):
            drain(self, len(self._ready))
        return True

    patch.setattr(RunLoop, "drain", some_ticks)


def _deliver_before_durable(patch: Patch) -> None:
    step, deliver = Drafts.step, Execution._deliver  # pyright: ignore[reportPrivateUsage]

    def step_at_once(self: Any) -> Draft:
        draft = step(self)
        journal = self._journal
        assert isinstance(draft.body, Step)
        for record in draft.body.calls:
            if not record.unawaited:
                journal.deliver(record)
        asyncio.get_running_loop().call_soon(journal.loop.drain, 1_000)
        return draft

    async def deliver_others(self: Any, journal: Journal, entry: Entry) -> None:
        if _is_just_written(self, entry) and isinstance(entry.body, Step):
            entry = replace(entry, body=replace(entry.body, calls=[]))
        await deliver(self, journal, entry)

    patch.setattr(Drafts, "step", step_at_once)
    patch.setattr(Execution, "_deliver", deliver_others)


def _no_void(patch: Patch) -> None:
    async def delete(self: Any, ref: RunRef, marker: str, now: datetime) -> None:
        if now - id_time(ref.run_id) >= timedelta(seconds=ORPHAN):
            await self._store.delete(marker)

    async def nothing(self: Any) -> None:
        """The walk over all runs would find the lost run again, after some minutes."""

    patch.setattr(Reaper, "_void", delete)
    patch.setattr(Reaper, "keep_up", nothing)


def _take_over_after_a_flush(patch: Patch) -> None:
    async def age(self: MemoryLive) -> timedelta:
        return timedelta(days=1)

    patch.setattr(MemoryLive, "age", age)


def _keep_what_was_received(patch: Patch) -> None:
    append = Execution._append  # pyright: ignore[reportPrivateUsage]

    async def insist(self: Any, draft: Draft, **_: Any) -> Entry | None:
        while (entry := await append(self, draft)) is None and draft.at is not None:
            for foreign in await self._read_on():
                self._apply(foreign)
                await self._deliver(self._journal, foreign)
            if self.state.end is not None:
                return None
        return entry

    patch.setattr(Execution, "_append", insist)


def _call_before_durable(patch: Patch) -> None:
    deliver_early = Execution._deliver_early  # pyright: ignore[reportPrivateUsage]

    async def hurry(self: Any, *rest: Any) -> bool:
        is_delivered = await deliver_early(self, *rest)
        self._begin_calls()
        return is_delivered

    patch.setattr(Execution, "_deliver_early", hurry)


def _other_time(patch: Patch) -> None:
    append = RunLog.append

    async def append_later(
        self: RunLog, *rest: Any, at: datetime | None = None, **options: Any
    ) -> Entry | None:
        later = None if at is None else at + timedelta(milliseconds=1)
        return await append(self, *rest, at=later, **options)

    patch.setattr(RunLog, "append", append_later)


def _no_intent(patch: Patch) -> None:
    call = Journal.call

    async def call_at_once(
        self: Journal, *args: Any, arguments_digest: Any = None, **options: Any
    ) -> Any:
        return await call(self, *args, **options)

    patch.setattr(Journal, "call", call_at_once)


def _repeat_what_is_unknown(patch: Patch) -> None:
    def admit(self: Any, call: Any) -> None:
        if call.arguments_digest is None or call.call_id in self._state.intents:
            self._calls.start(call)
        else:
            self.intended.append(call)

    patch.setattr(Gate, "_admit", admit)


def _always(*_: object) -> bool:
    return True


def _never(*_: object) -> bool:
    return False


def _none(*_: object) -> None:
    return None


def _take_over_within_the_term(patch: Patch) -> None:
    patch.setattr(Tenure, "is_over", _always)
    patch.setattr(Resender, "_is_owned", _never)


def _go_on_after_the_term(patch: Patch) -> None:
    patch.setattr(Execution, "_has_lapsed", _never)


def _never_renew(patch: Patch) -> None:
    patch.setattr(Decision, "_renew_at", _none)
    patch.setattr(Execution, "_has_lapsed", _never)  # otherwise it waits for a renewal


def _skip_what_followed_a_wait(patch: Patch) -> None:
    async def skip(self: WarmRun, log: RunLog) -> bool:
        for entry in await log.read_on(self.state.entries):
            log.apply(self.state, entry)
        return True

    patch.setattr(WarmRun, "catch_up", skip)


def _write_events_of_another_worker_again(patch: Patch) -> None:
    patch.setattr(Journal, "catch_up", _none)


def _forget_identifiers(patch: Patch) -> None:
    thawed = engine.thawed

    def forget(snapshot: Snapshot, entries: list[Entry], log: RunLog) -> WarmRun:
        warm = thawed(snapshot, entries, log)
        warm.origin.count = 0
        return warm

    patch.setattr(engine, "thawed", forget)


def _skip_what_followed_a_snapshot(patch: Patch) -> None:
    thawed = engine.thawed

    def skip(snapshot: Snapshot, entries: list[Entry], log: RunLog) -> WarmRun:
        warm = thawed(snapshot, entries, log)
        warm.undelivered.clear()
        return warm

    patch.setattr(engine, "thawed", skip)


def _announce_what_does_not_begin(patch: Patch) -> None:
    gate_open, foresee = Gate.open, Gate.foresee

    def open_if_not_shut(self: Any) -> None:
        if self._is_shut():
            self.reached = self._refused = None
        else:
            gate_open(self)

    def foresee_no_end(self: Any, records: Any) -> None:
        is_shut, self._is_shut = self._is_shut, _never
        foresee(self, records)
        self._is_shut = is_shut

    patch.setattr(Gate, "open", open_if_not_shut)
    patch.setattr(Gate, "foresee", foresee_no_end)


def _call_inside_before_durable(patch: Patch) -> None:
    async def at_once(self: Any, outer: Any) -> None:
        pass

    patch.setattr(Calls, "_recorded_inside", at_once)


def _claim_what_waits_meanwhile(patch: Patch) -> None:
    gives_up = Execution._gives_up_claim  # pyright: ignore[reportPrivateUsage]

    def insist(self: Any, owner: str | None, new: Any) -> Finish | None:
        finish = gives_up(self, owner, new)
        return None if finish is Finish.WAITING else finish

    patch.setattr(Execution, "_gives_up_claim", insist)


_zombies = partial(replace, crash=0.0, freeze=0.03, freeze_s=5 * LEASE, long_calls=0.5)
_lonely_apis = partial(replace, crash=0.0, freeze=0.15, freeze_s=5 * LEASE, message_lost=1.0)
_short_terms = partial(replace, crash=0.0, freeze=0.0, time_limit=4.0, long_calls=0.0)
_twins = partial(replace, crash=0.0, latencies=(0, 0.02, 0.6), message_doubled=1.0)
_flushes = partial(
    replace,
    is_live_shared=True,
    crash=0.0,
    freeze=0.0,
    live_down=0.0,
    flush_every=1.0,
    long_calls=0.5,
)


def _apart(weather: Weather) -> Weather:
    return replace(apart(weather), crash=0.0, message_doubled=0.5, long_calls=0.4)


def _frozen_apart(weather: Weather) -> Weather:
    return apart(_zombies(weather))


MUTANTS = (
    Mutant("drop the fence", _no_fence, focus=_zombies, seed=27762074141154),
    Mutant("overwrite instead of put-if-absent", _overwrite, seed=96438258762403),
    Mutant("skip the nonce", _no_nonce, seed=122385486557101),
    Mutant("no reaper", sweeps=False, seed=122127076343715),
    Mutant("enqueue and answer before the write", _enqueue_before_write, seed=146897661624877),
    Mutant("ignore a cancel", _ignore_cancel, seed=132412932518136),
    Mutant(
        "send the same entry again after a lost race",
        _resend_after_a_lost_race,
        seed=57016906451500,
    ),
    Mutant("own results before those of others", _own_results_first, seed=151849936407918),
    Mutant("act on what a notice says", _act_on_notices, seed=12375281216574),
    Mutant("resolve recorded calls at once in a replay", _resolve_at_once, seed=33209018379),
    Mutant("drain by ticks", _drain_by_ticks, seed=30621361892548),
    Mutant("deliver before it is durable", _deliver_before_durable, seed=6462910819961),
    Mutant(
        "keep what was received before a lost race", _keep_what_was_received, seed=220230344550669
    ),
    Mutant("begin a call before its cause is durable", _call_before_durable, seed=176015964275823),
    Mutant(
        "begin a call inside a turn before its cause is durable",
        _call_inside_before_durable,
        seed=187996959547035,
    ),
    Mutant("write another time than run code received", _other_time),
    Mutant(
        "delete the marker of an orphan without void",
        _no_void,
        focus=_lonely_apis,
        seed=255918414237194,
    ),
    Mutant(
        "take over at once after a flush",
        _take_over_after_a_flush,
        focus=_flushes,
        seed=8292108638905,
    ),
    Mutant("begin a write without an intent", _no_intent, seed=53831916081527),
    Mutant("repeat a write whose outcome is unknown", _repeat_what_is_unknown, seed=10850920447107),
    Mutant(
        "take over within the term of an owner",
        _take_over_within_the_term,
        focus=_apart,
        seed=238947956434025,
    ),
    Mutant(
        "go on after the own term", _go_on_after_the_term, focus=_frozen_apart, seed=108217407227288
    ),
    Mutant("never renew the own term", _never_renew, focus=_apart, seed=119508230110243),
    Mutant(
        "continue a warm run without what followed its wait",
        _skip_what_followed_a_wait,
        seed=90842366532400,
    ),
    Mutant(
        "write events of another worker again after a wait",
        _write_events_of_another_worker_again,
        seed=53660561044194,
    ),
    Mutant(
        "announce calls that a worker which stops does not begin",
        _announce_what_does_not_begin,
        focus=_short_terms,
        has_teams=True,
        seed=273682897644373,
    ),
    Mutant(
        "claim a run that was paused meanwhile",
        _claim_what_waits_meanwhile,
        focus=_twins,
        seed=57720798258850,
    ),
    Mutant("forget the identifiers before a snapshot", _forget_identifiers, seed=266015161262303),
    Mutant(
        "continue from a snapshot without what followed it",
        _skip_what_followed_a_snapshot,
        seed=220082217626480,
    ),
    *HOOK_MUTANTS,
    *BATCH_MUTANTS,
    *TEAM_MUTANTS,
    *THREAD_MUTANTS,
)
