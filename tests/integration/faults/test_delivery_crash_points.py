"""The process that delivers, or the API, is killed around each write of a delivery; others go on.

A real worker, API, Valkey and HTTP receiver. Each event is delivered or marked as given up, and its
id is the same in all requests. The receiver verifies with the public library alone.
"""

import asyncio
from collections.abc import Iterator
from typing import Literal

import pytest
from tests.support.delivery_journeys import Case, Journey, Outcome, travel
from tests.support.deployment import CountingModel
from tests.support.figures import Figures

pytestmark = [pytest.mark.integration, pytest.mark.timeout(480)]

AT_ONCE = 8

OURS = ("delivery", "webhook", "request", "failures", "secret")
"""Words in the names of the points of deliveries."""


def around(journey: Journey, process: Literal["worker", "api"], *stations: str) -> Iterator[Case]:
    """A death before and one after each station; `name#2` is the second time on the way."""
    for station in stations:
        name, _, nth = station.partition("#")
        for side in ("before", "after"):
            yield Case(journey, process, f"{side} {name}", int(nth or 1))


CASES = [
    *around("accepted", "worker", "delivery marker", "delivery marker#2", "secret of runs"),
    *around("accepted", "worker", "list marker of a delivery", "request", "request#2", "request#5"),
    *around("accepted", "worker", "delivery settled", "delivery settled#3"),
    *around("accepted", "worker", "removal of delivery marker", "entry:end of model"),
    *around("accepted", "api", "version of a webhook", "tenant with webhooks", "delivery marker"),
    *around("accepted", "api", "entry:accepted", "hint", "hint#2", "list marker of a delivery"),
    *around("refused", "worker", "delivery try", "delivery try#4", "time of failures"),
    *around("refused", "worker", "removal of time of failures", "delivery marker#4"),
    *around("refused", "worker", "request#8", "delivery settled#2"),
    *around("refused", "worker", "removal of delivery marker#3"),
    *around("given_up", "worker", "delivery try#8", "request#12", "delivery settled#5"),
    *around("gone", "worker", "version of a webhook", "delivery marker#3", "delivery settled#3"),
    *around("redelivered", "api", "delivery begun", "delivery begun#2", "delivery marker#2"),
    *around("redelivered", "api", "version of a webhook#3"),
    *around("redelivered", "worker", "request#6", "delivery settled#8"),
    *around("deleted", "api", "plan of a deletion", "note of a delivery", "note of a delivery#3"),
    *around("deleted", "api", "removal of list marker of a delivery", "entry:end"),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, figures: Figures) -> dict[Case, Outcome]:
    """All journeys, some of them at a time."""
    folder = tmp_path_factory.mktemp("delivery-crash-points")

    async def all_of_them() -> list[Outcome]:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(case: Case, model: CountingModel) -> Outcome:
            async with places:
                try:
                    return await travel(case, folder / case.id, model)
                except AssertionError as error:
                    return Outcome(case, fault=str(error))

        async with CountingModel() as model:
            return await asyncio.gather(*(one(case, model) for case in CASES))

    found = asyncio.run(all_of_them())
    figures.add(*table(found))
    return {outcome.case: outcome for outcome in found}


def table(outcomes: list[Outcome]) -> list[str]:
    killed = [outcome for outcome in outcomes if outcome.was_killed]
    accepted = sum(len(outcome.accepted) for outcome in outcomes)
    given_up = sum(len(outcome.given_up) for outcome in outcomes)
    return [
        f"crash points of deliveries, each with a SIGKILL  {len(killed)} of {len(outcomes)}",
        f"deliveries due                                   {sum(len(o.due) for o in outcomes)}",
        f"accepted by the receiver                         {accepted}",
        f"given up, and listed so                          {given_up}",
        f"missing                                          {sum(len(o.missing) for o in outcomes)}",
        f"requests                                         {sum(o.requests for o in outcomes)}",
        f"accepted again after a crash, with the same id   {sum(o.repeated for o in outcomes)}",
        f"most per crash                                   {max(o.repeated for o in outcomes)}",
        f"refused by the public library                    {sum(o.forged for o in outcomes)}",
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_no_event_is_lost_after_a_death(case: Case, outcomes: dict[Case, Outcome]) -> None:
    outcome = outcomes[case]
    assert outcome.fault == ""
    assert outcome.was_killed
    assert outcome.missing == set()
    assert (outcome.forged, outcome.markers, outcome.tracebacks) == (0, 0, 0)
    assert len(outcome.due) >= 6
    assert max(outcome.accepted.values()) <= 2  # once more, if its answer was not recorded
    if case.journey in ("accepted", "refused", "redelivered"):
        assert outcome.given_up == set()
        assert set(outcome.accepted) == outcome.due


def test_every_write_of_a_delivery_is_a_case(outcomes: dict[Case, Outcome]) -> None:
    passed = {point for outcome in outcomes.values() for point in outcome.passed}
    ours = {point for point in passed if any(word in point for word in OURS)}
    erased = {f"{side} removal of delivery {what}" for side in ("before", "after") for what in KEPT}
    assert ours - erased <= {case.point for case in CASES}


KEPT = ("settled", "try")
"""What the deletion of a run removes with its other objects; the note is written before."""
