"""Schedules of a whole deployment, the same ones each time: no invariant is violated.

`python -m tests.simulation` runs schedules from fresh seeds; `SEED=n` repeats one of them.
"""

import asyncio
import os
import subprocess
import sys

import pytest
from tests.simulation import schedule
from tests.simulation.campaign import Tally, campaign
from tests.simulation.schedule import run_schedule
from tests.simulation.world import Livelock, VirtualLoop, run_virtually
from tests.support.examples import seeds
from tests.support.figures import Figures

_ALL = 300
"""Schedules of a whole run."""


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_doubled_and_every_kind_of_fault_and_of_end_occurs(
    figures: Figures,
) -> None:
    schedules = seeds(_ALL)
    tally = campaign(schedules)
    figures.add(*tally.told().splitlines())
    assert not tally.failures, tally.told()
    if len(schedules) < _ALL:
        return  # some kinds are rare
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


async def spin() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.allow(100)

    def spin_on() -> None:
        loop.call_soon(spin_on)

    spin_on()
    await asyncio.Event().wait()


def test_processes_that_keep_each_other_busy_end_the_virtual_loop() -> None:
    with pytest.raises(Livelock):
        run_virtually(spin())


def test_an_endless_schedule_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_STEPS", 100)

    (violation,) = run_schedule(4711, hooks=0, batches=0, threads=0).violations

    assert "goes on and on" in violation
