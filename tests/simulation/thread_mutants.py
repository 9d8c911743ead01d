"""The rules of threads, each broken once: the simulator has to notice them."""

from functools import partial
from typing import Any, cast

from tests.simulation.mutant import Mutant, Patch

from teamrun.runs.engine.reaper import Reaper
from teamrun.threads.conversation import Conversation
from teamrun.threads.ends import RunEnds
from teamrun.threads.records import ThreadState
from teamrun.threads.turns import ThreadTurns

__all__ = ["THREAD_MUTANTS"]


def _claim_out_of_order(patch: Patch) -> None:
    async def have_ended(self: Any, tenant: str, state: ThreadState, before: int) -> bool:
        return True

    patch.setattr(RunEnds, "have_ended", have_ended)


def _wait_for_the_run_before_alone(patch: Patch) -> None:
    async def have_ended(self: Any, tenant: str, state: ThreadState, before: int) -> bool:
        if not before:
            return True
        [(_, has_ended)] = await self._read(tenant, state, [before - 1])
        return has_ended

    patch.setattr(RunEnds, "have_ended", have_ended)


def _continue_from_what_was_rolled_back(patch: Patch) -> None:
    has_left = ThreadState.has_left

    def also_dropped(self: ThreadState, place: int, run: Any) -> bool:
        dropped, self.dropped = self.dropped, set[str]()
        try:
            return has_left(self, place, run)
        finally:
            self.dropped = dropped

    patch.setattr(ThreadState, "has_left", also_dropped)


def _continue_from_the_second_newest(patch: Patch) -> None:
    candidates = Conversation._candidates  # pyright: ignore[reportPrivateUsage]

    async def without_the_first(self: Any, tenant: str, state: ThreadState, place: int) -> Any:
        is_first = True
        async for each in candidates(self, tenant, state, place):
            if not is_first:
                yield each
            is_first = False

    patch.setattr(Conversation, "_candidates", without_the_first)


def _take_a_busy_thread_for_idle(patch: Patch) -> None:
    async def first_open(self: Any, tenant: str, state: ThreadState) -> str | None:
        return None

    patch.setattr(RunEnds, "first_open", first_open)


def _take_an_idle_thread_for_busy(patch: Patch) -> None:
    async def first_open(self: Any, tenant: str, state: ThreadState) -> str | None:
        return state.runs[-1].run_id if state.runs else None

    patch.setattr(RunEnds, "first_open", first_open)


def _interrupt_nothing(patch: Patch) -> None:
    async def nothing(self: Any, ref: Any, joined: Any) -> None:
        pass

    patch.setattr(ThreadTurns, "_interrupt", nothing)


def _answer_before_the_run_has_joined(patch: Patch) -> None:
    async def nothing(self: Any, ref: Any, part: Any, *, has_ended: bool = False) -> None:
        pass

    async def is_turn(self: Any, ref: Any, run: Any) -> bool:
        await join(self, ref, run.spec.thread)
        state = await self.logs.state(ref.tenant, run.spec.thread.thread_id)
        return await self.ends.have_ended(ref.tenant, state, state.positions[ref.run_id])

    join = ThreadTurns.join
    patch.setattr(ThreadTurns, "join", nothing)
    patch.setattr(ThreadTurns, "is_turn", is_turn)


def _lose_wake_ups(patch: Patch) -> None:
    async def not_woken(*_: Any) -> bool:
        return False

    init = Reaper.__init__

    def without_wake(self: Any, **parts: Any) -> None:
        cast("Any", init)(self, **{**parts, "wake": not_woken})

    async def follow(*_: Any) -> None:
        pass

    patch.setattr(Reaper, "__init__", without_wake)
    patch.setattr(ThreadTurns, "follow", follow)


_mutant = partial(Mutant, has_threads=True)

THREAD_MUTANTS = (
    _mutant("threads: claim out of order", _claim_out_of_order, seed=245179495078393),
    _mutant(
        "threads: wait for the run before alone", _wait_for_the_run_before_alone, seed=4763461318046
    ),
    _mutant(
        "threads: continue from what was rolled back",
        _continue_from_what_was_rolled_back,
        seed=264574355604385,
    ),
    _mutant(
        "threads: continue from the second newest",
        _continue_from_the_second_newest,
        seed=257215539260403,
    ),
    _mutant(
        "threads: take a busy thread for idle", _take_a_busy_thread_for_idle, seed=188534957546933
    ),
    _mutant(
        "threads: take an idle thread for busy", _take_an_idle_thread_for_busy, seed=210064127751156
    ),
    _mutant("threads: interrupt nothing", _interrupt_nothing, seed=257302440181611),
    _mutant(
        "threads: answer before the run has joined",
        _answer_before_the_run_has_joined,
        seed=90183756095422,
    ),
    _mutant("threads: lose the turn of the next run", _lose_wake_ups, seed=23573969512708),
)
