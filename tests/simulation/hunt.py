"""Schedules that notice a broken rule."""

import random
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import pytest
from tests.simulation.mutant import Mutant
from tests.simulation.mutants import MUTANTS
from tests.simulation.schedule import run_schedule

__all__ = ["Caught", "fresh_hunts", "hunt", "recorded_seeds"]


@dataclass
class Caught:
    """How a mutant was noticed."""

    after: int
    """Schedules, the one that noticed it included."""
    seed: int
    by: str
    """The violation."""


def hunt(mutant: Mutant, seeds: Iterable[int]) -> Caught | None:
    """Break a rule and run schedules until one notices; None: none of them did."""
    with pytest.MonkeyPatch.context() as patch:
        mutant.apply(patch)
        for after, seed in enumerate(seeds, start=1):
            violations = run_schedule(
                seed,
                sweeps=mutant.sweeps,
                focus=mutant.focus,
                hooks=mutant.has_hooks,
                batches=mutant.has_batch,
                teams=mutant.has_teams,
                threads=mutant.has_threads,
            ).violations
            stale = [each for each in violations if "TypeError" in each or "Attribute" in each]
            assert not stale, f"{mutant.name!r} does not fit the code any more: {stale}"
            if violations:
                return Caught(after, seed, violations[0])
    return None


def recorded_seeds(mutant: Mutant, most: int) -> Iterator[int]:
    """The recorded seed, then others that are the same each time."""
    yield mutant.seed
    yield from islice(_seeds(random.Random(mutant.name)), most - 1)


def fresh_hunts(most: int, name: str = "") -> bool:
    """Hunt every mutant with fresh seeds and print what noticed it; whether all were noticed.

    Args:
        most: Schedules for each mutant.
        name: A part of the names of the mutants to hunt; all by default.
    """
    fresh, all_noticed = random.Random(secrets.randbits(64)), True
    for mutant in (mutant for mutant in MUTANTS if name in mutant.name):
        caught = hunt(mutant, islice(_seeds(fresh), most))
        all_noticed = all_noticed and caught is not None
        found = f"NOT NOTICED by {most} schedules" if caught is None else shown(caught)
        print(f"  {mutant.name:48} {found}", flush=True)
    return all_noticed


def shown(caught: Caught) -> str:
    """One line about it."""
    return f"{caught.after:5}  seed {caught.seed:15}  {caught.by[:80]}"


def _seeds(source: random.Random) -> Iterator[int]:
    while True:
        yield source.randrange(1 << 48)
