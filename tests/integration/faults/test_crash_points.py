"""A real worker or API is killed at every point that another process can see.

Then a new process continues, with a lease of a second; every case checks the same guarantees.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.crash_journeys import Case, Journey, Outcome, Process, travel
from tests.support.deployment import LEASE_S, CountingModel
from tests.support.figures import Figures

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

AT_ONCE = 10
"""Journeys that are under way together; most of their time they wait for a lease."""


def around(journey: Journey, process: Process, *stations: str) -> Iterator[Case]:
    """A death before and one after each station; `name#2` is the second time on the way."""
    for station in stations:
        name, _, nth = station.partition("#")
        for side in ("before", "after"):
            yield Case(journey, process, f"{side} {name}", int(nth or 1))


ENDING = ("events.jsonl", "result.json", "removal of open marker")
CASES = [
    *around("cancelled_queued", "api", "key record", "open marker", "list marker"),
    *around("cancelled_queued", "api", "entry:accepted", "hint", "open marker#2"),
    *around("cancelled_queued", "api", "entry:end", *ENDING),
    *around("cancelled_running", "api", "entry:signal"),
    *around("question", "api", "open marker#2", "entry:signal", "open marker#3", "hint#2"),
    *around("scheduled", "api", "due marker"),
    *around("scheduled", "worker", "open marker", "hint of the reaper", "removal of due marker"),
    *around("question", "worker", "lease", "entry:claim", "entry:step of model"),
    *around("question", "worker", "entry:intent", "effect", "entry:step of tool"),
    *around("question", "worker", "entry:step of model#2"),
    *around("question", "worker", "entry:wait", "release", "due marker"),
    *around("question", "worker", "removal of open marker"),
    *around("question", "worker", "lease#2", "entry:claim#2", "entry:end of model"),
    *around("question", "worker", "release#2", "events.jsonl", "result.json"),
    *around("question", "worker", "removal of open marker#2"),
    *around("cancelled_running", "worker", "entry:end", "release", *ENDING),
    *around("unhurried", "worker", "entry:step of events"),
    *around("handed_over", "worker", "entry:yield", "release", "hint"),
    *around("retried", "worker", "entry:step of model", "due marker", "entry:yield", "release"),
    *around("retried", "worker", "hint of the reaper"),
    *around("unheard", "worker", "hint of the reaper"),
    Case("asked", "worker"),
    *around("raced", "worker", "effect", "entry:step of tool", "entry:step of model#2"),
    *around("raced", "worker", "entry:end"),
    *around("joined", "worker", "entry:step of model#2", "entry:step of model#3"),
    *around("joined", "worker", "entry:end of model"),
    *around("joined_elsewhere", "worker", "entry:yield", "hint"),
    *around("nested", "worker", "entry:step of model#2", "entry:step of tool"),
    *around("nested", "worker", "entry:step of model#3"),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, figures: Figures) -> dict[Case, Outcome]:
    """All journeys, some of them at a time."""
    folder = tmp_path_factory.mktemp("crash-points")

    async def all_of_them() -> list[Outcome]:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(case: Case, model: CountingModel) -> Outcome:
            async with places:
                try:
                    return await travel(case, folder / case.id, model)
                except AssertionError as error:
                    return Outcome(case, violations=[str(error)])

        async with CountingModel() as model:
            return await asyncio.gather(*(one(case, model) for case in CASES))

    found = asyncio.run(all_of_them())
    figures.add(*table(found))
    return {outcome.case: outcome for outcome in found}


def table(outcomes: list[Outcome]) -> list[str]:
    times = sorted(outcome.recovery_s for outcome in outcomes if outcome.was_killed)
    places = (("p50", 0.5), ("p95", 0.95), ("max", 1))
    shown = [f"{name} {times[int((len(times) - 1) * place)]:.1f} s" for name, place in places]
    whole = [outcome for outcome in outcomes if outcome.status != "cancelled"]
    return [
        f"crash points, each with a SIGKILL      {len(times)} of {len(outcomes)}",
        f"runs lost                              {sum(o.status == 'lost' for o in outcomes)}",
        f"runs accepted twice                    {sum(o.runs > 1 for o in outcomes)}",
        f"violations in their logs               {sum(len(o.violations) for o in outcomes)}",
        f"model calls paid again, most per crash {max(o.extra_calls for o in whole)}",
        f"model calls paid again, all together   {sum(o.extra_calls for o in whole)}",
        f"write effects made twice               {sum(o.lines > 1 for o in outcomes)}",
        f"write effects told to be unknown       {sum(o.unknown for o in outcomes)}",
        f"from death to ended (lease {LEASE_S:.0f} s)       {', '.join(shown)}",
    ]


IN_FLIGHT = {"raced": 3, "joined": 2}
"""Model calls that a death can cost, if not one: of members that speak at the same time. The loser
of the race is called by both workers, and what it says is never recorded."""
IN_DOUBT = {"after entry:intent", "before effect", "after effect", "before entry:step of tool"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_nothing_is_lost_or_done_twice_after_a_death(
    case: Case, outcomes: dict[Case, Outcome]
) -> None:
    outcome = outcomes[case]
    assert outcome.violations == []
    assert outcome.was_killed
    assert outcome.tracebacks == 0
    cancelled = case.journey.startswith("cancelled")
    assert (outcome.status, outcome.runs) == ("cancelled" if cancelled else "completed", 1)
    assert outcome.extra_calls <= IN_FLIGHT.get(case.journey, 1)
    assert outcome.unknown == (case.point in IN_DOUBT)
    if cancelled:
        assert outcome.lines <= 1
    else:
        assert outcome.lines == (case.point not in ("after entry:intent", "before effect"))


async def test_every_point_on_the_way_of_a_run_is_a_case(tmp_path: Path) -> None:
    ways = {Case(case.journey, case.process) for case in CASES if case.point}
    async with CountingModel() as model:
        found = await asyncio.gather(*(travel(way, tmp_path / way.id, model) for way in ways))
    assert {
        f"{outcome.case.process} {point.partition(' #')[0]}"
        for outcome in found
        for point in outcome.passed
    } == {f"{case.process} {case.point}" for case in CASES if case.point}
