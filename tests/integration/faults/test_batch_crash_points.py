"""A worker or an API is killed at each step of a batch that others observe; the batch goes on."""

from pathlib import Path

import pytest
from tests.support.batch_load import BatchLoad
from tests.support.crash_points import Crash
from tests.support.deployment import deployed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

ITEMS = 230
"""So many that several blocks of results are settled."""
FEW_ITEMS = 70
"""For steps that the first items take."""

WORKER = {
    "batch entry:fed": ITEMS,
    "batch entry:settled": ITEMS,
    "batch entry:end": ITEMS,
    "entry:accepted": FEW_ITEMS,
    "entry:claim": FEW_ITEMS,
    "entry:end of model": FEW_ITEMS,
    "item result": FEW_ITEMS,
    "block of results": ITEMS,
    "removal of item result": ITEMS,
    "removal of batch marker": ITEMS,
    "hint of the reaper": ITEMS,
}
API = ("key record", "batch marker", "batch items", "batch entry:accepted", "list marker")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", WORKER)
async def test_a_batch_goes_on_after_its_worker(point: str, when: str, tmp_path: Path) -> None:
    nth = 1 if point in ("batch entry:end", "removal of batch marker") else 2
    crash = Crash(f"{when} {point}", nth)
    async with deployed(tmp_path / "d") as deployment:
        load = BatchLoad(deployment, WORKER[point], max_concurrency=60, workers=1, crash=crash)
        await load.run(kills=[], within_s=60)
        await load.settled()

    assert load.kills["worker"] == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", API)
async def test_a_batch_is_accepted_once_after_its_api(
    point: str, when: str, tmp_path: Path
) -> None:
    crash = Crash(f"{when} {point}")
    async with deployed(tmp_path / "d") as deployment:
        load = BatchLoad(deployment, FEW_ITEMS, workers=1, api_crash=crash)
        await load.run(kills=[], within_s=60)

    assert load.kills["api"] == 1
