"""Each rule of the log is broken once, and the simulator has to notice: else it proves little."""

import random
import secrets
from dataclasses import dataclass

import pytest
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.schedule import run_schedule
from tests.support.figures import Figures

_MOST = 5_000
"""Schedules that a mutant may survive; the rarest needs some two hundred."""


@dataclass
class Caught:
    after: int
    """Schedules, the telling one included."""
    seed: int
    by: str


def hunt(mutant: Mutant, fresh: random.Random) -> Caught | None:
    with pytest.MonkeyPatch.context() as patch:
        mutant.apply(patch)
        for after in range(1, _MOST + 1):
            seed = fresh.randrange(1 << 48)
            outcome = run_schedule(seed, sweeps=mutant.sweeps, focus=mutant.focus)
            stale = [
                each for each in outcome.violations if "TypeError" in each or "Attribute" in each
            ]
            assert not stale, f"{mutant.name!r} does not fit the code any more: {stale}"
            if outcome.violations:
                return Caught(after, seed, outcome.violations[0])
    return None


@pytest.mark.timeout(900)
def test_every_rule_that_is_broken_is_noticed(figures: Figures) -> None:
    fresh = random.Random(secrets.randbits(64))
    hunted = [(mutant.name, hunt(mutant, fresh)) for mutant in MUTANTS]
    figures.add("broken rule, and the schedules until it was noticed")
    for name, caught in hunted:
        if caught is not None:
            figures.add(f"  {name:48} {caught.after:5}  {caught.by[:90]}")
    assert not [name for name, caught in hunted if caught is None]
