"""Each rule of the log is broken once, and the simulator has to notice; otherwise it proves little.

Each mutant has the seed of a schedule that notices it. A change of the engine may make that
schedule another one; then a fixed sequence of seeds is tried, and the next one can be recorded.
"""

import pytest
from tests.simulation.hunt import hunt, recorded_seeds
from tests.simulation.mutant import Mutant
from tests.simulation.mutants import MUTANTS
from tests.support.figures import Figures

_MOST = 1_000
"""Schedules that a mutant may survive; the rarest needs some two hundred."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_broken_rule_is_noticed(mutant: Mutant, figures: Figures) -> None:
    caught = hunt(mutant, recorded_seeds(mutant, _MOST))

    assert caught is not None
    if caught.after > 1:
        figures.add(f"{mutant.name}: noticed after {caught.after}; record seed={caught.seed}")
