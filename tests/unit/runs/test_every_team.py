"""Each form of team, agent and condition: a worker dies at any of its writes, another goes on."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from tests.golden.recording import EXECUTED, answer_all, cases, cluster_of, submit
from tests.support.audit import model_calls_of, violations_of
from tests.support.mortal_store import MortalStore, until_dead
from tests.support.runs import TENANT, Cluster

from teamrun.core.refs import RunRef
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.replay import replay
from teamrun.runs.engine.warm import WarmRuns
from teamrun.runs.log.state import fold
from teamrun.storage.memory import MemoryStore

AT_ONCE = 3
"""Most members of a case that speak at the same time."""
NAMES = [name for name in cases() if name not in ("followed", "concluded")]  # others' teams
UNORDERED = {"at_once", "cycle", "graph", "hierarchy", "judged", "managed"}
"""Cases in which members speak at the same time, so that a call made again may come later."""


@dataclass(frozen=True)
class Course:
    """What a run comes to."""

    status: str
    stop_code: str | None
    said: list[tuple[str, str, Any]]


async def course_of(cluster: Cluster, ref: RunRef) -> Course:
    run = await cluster.service.get(TENANT, ref.run_id)
    events = [event for entry in await cluster.entries(ref) for event in entry.events]
    said = [event.data["message"] for event in events if event.type == "message.created"]
    messages = [(each["type"], each["source"], each["content"]) for each in said]
    return Course(run.status, run.stop_code, messages)


async def to_the_end(cluster: Cluster, ref: RunRef, owner: str) -> None:
    """Execute the run, with no memory of it between two waits for a person."""
    for n in range(9):
        worker = cluster.worker(f"{owner}{n}", warm=WarmRuns(keep=timedelta()))
        await worker.execute(ref)
        await worker.close()
        if (await cluster.service.get(TENANT, ref.run_id)).finished_at is not None:
            return
        await answer_all(cluster, ref)
        cluster.clock.shift += timedelta(minutes=3)  # the lease of a dead worker expires
    raise AssertionError("the run does not end")


async def calm_course(name: str) -> Course:
    """What the case comes to without a death."""
    cluster = cluster_of(*cases()[name])
    ref = await submit(cluster, name)
    await to_the_end(cluster, ref, "w")
    return await course_of(cluster, ref)


def is_as_calm(name: str, course: Course, calm: Course) -> bool:
    if name == "race":  # another member may be the first
        return course.status == calm.status
    if name in UNORDERED:
        course, calm = (replace(each, said=sorted(each.said)) for each in (course, calm))
    return course == calm


@pytest.mark.parametrize("name", NAMES)
async def test_a_worker_that_dies_at_any_write_is_replaced_and_nothing_is_done_twice(
    name: str,
) -> None:
    team, script = cases()[name]
    calm, nth = await calm_course(name), 0
    for nth in count(1):
        store = MemoryStore()
        ref = await submit(cluster_of(team, script, store=store), name)
        EXECUTED.clear()
        mortal = MortalStore(store, dies_at=nth)
        first = cluster_of(team, script, store=mortal)
        if not await until_dead(mortal, to_the_end(first, ref, "w")):
            break
        second = cluster_of(team, script, store=store, live=first.live, clock=first.clock)
        await to_the_end(second, ref, "v")

        place, entries = f"at write {nth}", await second.entries(ref)
        assert violations_of(entries) == [], place
        made = len(first.model.calls) + len(second.model.calls)
        assert made - model_calls_of(entries) <= AT_ONCE, place
        assert max(Counter(EXECUTED).values(), default=1) == 1, place
        course, state = await course_of(second, ref), fold(entries)
        assert state is not None
        if state.unknown:  # an agent was told so
            assert course.status == calm.status, place
        else:
            assert is_as_calm(name, course, calm), f"{place}: {course.said} is not {calm.said}"
        program = team_program(second.registry)(state.spec)
        assert await replay(second.log(ref), program, second.clock) is None, place
    assert nth > 4, "the claim, a step, the end and the result"
