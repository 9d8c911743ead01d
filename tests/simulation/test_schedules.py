"""Schedules of a whole deployment, each from a fresh seed: what must always hold, holds.

`SEED=n` repeats one, `SEEDS=n` runs so many; two processes share the work where there are many.
`python -m tests.simulation` does the same outside of pytest, for long runs.
"""

import os
import subprocess
import sys

import pytest
from tests.simulation.campaign import Tally, campaign, seeds
from tests.simulation.schedule import run_schedule
from tests.support.figures import Figures


@pytest.mark.timeout(1200)
def test_nothing_is_lost_doubled_or_paid_again_in_any_schedule(figures: Figures) -> None:
    tally = campaign(seeds(300))
    figures.add(*tally.told().splitlines())
    assert not tally.failures, tally.told()


def test_every_kind_of_fault_and_of_end_occurs() -> None:
    tally = Tally()
    for seed in range(150):
        tally.add(run_schedule(seed))
    assert not tally.failures, tally.told()
    missing = [what for what in Tally.EXPECTED if not tally.stats[what]]
    assert not missing, f"schedules have become too quiet: {tally.stats}"


def test_a_seed_repeats_its_schedule_in_another_process() -> None:
    here = run_schedule(4711)
    code = (
        "from tests.simulation.schedule import run_schedule; print(run_schedule(4711).fingerprint)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    there = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here.fingerprint
