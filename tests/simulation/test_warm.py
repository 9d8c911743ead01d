"""A run that was kept warm does what a replay of its log does: the same calls, entries and state.

Programs, answers, messages, other workers and lost workers are random. At each wait, one worker
continues the warm run and another one replays a copy of the log, from the same moment on.
"""

import asyncio
import random
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from tests.simulation.job import Job, Part, grow
from tests.simulation.ledger import Drive
from tests.simulation.program import digest
from tests.simulation.test_replay import REF, begin, log_of, spec
from tests.simulation.world import VirtualClock, run_virtually
from tests.support.examples import examples

from teamrun.runs.engine import calls
from teamrun.runs.engine.execution import Execution
from teamrun.runs.engine.finish import Finish
from teamrun.runs.engine.warm import WarmRun
from teamrun.runs.log.entries import Entry, Signal
from teamrun.runs.log.events import received_event
from teamrun.runs.log.state import fold
from teamrun.storage.memory import MemoryStore
from teamrun.tools.base import Effects

_ROUNDS = 20


class Nobody:
    def delta(self, data: dict[str, Any]) -> None:
        pass

    async def will_wait(self, until: datetime) -> None:
        pass


class Outside:
    """Answers each call by its id, after a time that depends on it, too."""

    async def reach(self, drive: Drive, call_id: str, effects: Effects) -> int | None:
        drive.made.append((call_id, 0))
        # No two end at the same time, and none just when the engine shows events (50 ms, 1 s).
        await asyncio.sleep((digest(call_id) % 2_999 + 0.5) / 1_000)
        return None if digest("fails", call_id) % 9 == 0 else digest("answer", call_id) % 1000


def program(rng: random.Random) -> Part:
    """Questions between and beside random parts."""
    parts = [_plain(grow(rng, f"t/p{n}", 1)) for n in range(3)]
    asks = [Part("ask", f"t/q{n}", expires_in=rng.choice((None, None, 5.0))) for n in range(3)]
    beside = Part("fan", "t", (Part("ask", "t/r"), parts[2]))
    return Part("seq", "t", (asks[0], parts[0], asks[1], parts[1], beside, asks[2]))


def _plain(part: Part) -> Part:
    """Without custom agents: the messages that they make in a call have random ids."""
    kind = "tool" if part.kind == "own" else part.kind
    return replace(part, kind=kind, parts=tuple(map(_plain, part.parts)))


class Case:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.part = program(self.rng)
        self.store = MemoryStore()
        self.warm: WarmRun | None = None
        self.warm_drive = Drive(REF.run_id, "w1")
        self.continued = 0

    async def execute(
        self, store: MemoryStore, drive: Drive, writer: str = "w1", warm: WarmRun | None = None
    ) -> tuple[Finish, Execution]:
        log = log_of(store, writer)
        entries = warm.undelivered if warm else await log.read()
        state = warm.state if warm else fold(entries)
        assert state is not None
        execution = Execution(
            log=log,
            entries=entries,
            state=state,
            program=Job(self.part, Outside(), drive),
            clock=VirtualClock(),
            observer=Nobody(),
            warm=warm,
            keeps_warm=True,
        )
        finish = await execution.run()
        if writer != "w1" and execution.warm is not None:
            execution.warm.close()
        return finish, execution

    async def go_on(self) -> Finish:
        """Let the worker `w1` continue, with the warm run if it has one that still can."""
        warm, self.warm = self.warm, None
        if warm is None or not await warm.catch_up(log_of(self.store, "w1")):
            if warm is not None:
                warm.close()
            self.warm_drive = Drive(REF.run_id, "w1")
            finish, execution = await self.execute(self.store, self.warm_drive)
            self.warm = execution.warm
            return finish
        self.continued += 1
        copy, drive = await self.copied(), Drive(REF.run_id, "w1")
        before = len(self.warm_drive.made)
        (finish, execution), (cold_finish, cold) = await asyncio.gather(
            self.execute(self.store, self.warm_drive, warm=warm), self.execute(copy, drive)
        )
        self.warm = execution.warm
        assert finish == cold_finish
        assert execution.state == cold.state
        assert self.warm_drive.thread == drive.thread
        assert self.warm_drive.made[before:] == drive.made
        assert await shown(self.store) == await shown(copy)
        assert (self.warm is None) == (cold.warm is None)
        if self.warm is not None and cold.warm is not None:
            assert self.warm.journal.pending.keys() == cold.warm.journal.pending.keys()
            assert self.warm.journal.events == cold.warm.journal.events
            cold.warm.close()
        return finish

    async def copied(self) -> MemoryStore:
        copy = MemoryStore()
        for key in await self.store.list("t/"):
            await copy.put_new(key, await self.store.get(key))
        return copy

    async def disturb(self) -> None:
        """What clients and other processes do while the run waits."""
        rng, log = self.rng, log_of(self.store, "api")
        state = await log.state()
        assert state is not None
        actions = [*state.actions]
        for action in rng.sample(actions, rng.randint(0, len(actions))):
            said = str(rng.randrange(1000))
            decision = "approve" if action.type == "approval" else "answer"
            signal = Signal(signal="input", action_id=action.id, content=said, decision=decision)
            event = received_event(action.agent, action.id, decision)
            await log.append(state, signal, [event], epoch=state.epoch)
        if rng.random() < 0.3:
            await log.append(state, Signal(signal="message", content="psst"), [], epoch=state.epoch)
        if rng.random() < 0.3:
            await asyncio.sleep(6)  # questions expire
        if rng.random() < 0.2:
            await self.execute(self.store, Drive(REF.run_id, "w2"), "w2")
        elif rng.random() < 0.1:  # the worker is lost
            self.warm = None


async def shown(store: MemoryStore) -> list[Entry]:
    """The log, without what differs each time."""
    return [replace(entry, nonce="") for entry in await log_of(store, "reader").read()]


async def followed(seed: int) -> int:
    with patch.object(calls, "monotonic", asyncio.get_running_loop().time):
        return await _followed(seed)


async def _followed(seed: int) -> int:
    case = Case(seed)
    await begin(log_of(case.store, "api"), spec(seed))
    for _ in range(_ROUNDS):
        state = await log_of(case.store, "reader").state()
        if state is None or state.end is not None or await case.go_on() is Finish.ENDED:
            break
        await case.disturb()
    return case.continued


@examples(300)
@given(seed=st.integers(0, 1 << 48))
def test_a_warm_run_goes_on_as_a_replay_does(seed: int) -> None:
    run_virtually(followed(seed))


def test_most_of_these_runs_are_continued_warm() -> None:
    assert sum(run_virtually(followed(seed)) for seed in range(20)) > 40
