"""Many schedules, and their results."""

import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import ClassVar

from tests.simulation.schedule import Outcome, run_schedule
from tests.simulation.team_stories import KINDS

__all__ = ["Tally", "campaign", "seeds"]

_WORTH_TWO_PROCESSES = 1_000
_SHOWN = 5


@dataclass
class Tally:
    """Counts of schedules, and the failures among them."""

    schedules: int = 0
    runs: int = 0
    seconds: float = 0
    stats: Counter[str] = field(default_factory=Counter[str])
    failures: list[Outcome] = field(default_factory=list[Outcome])

    EXPECTED: ClassVar[Sequence[str]] = (
        "killed",
        "frozen",
        "flushed",
        "retired",
        "claims",
        "continued warm",
        "continued from a snapshot",
        "taken over",
        "without shared live state",
        "taken over without shared live state",
        "with a time limit",
        "handed over",
        "unacknowledged",
        "void",
        "completed",
        "failed",
        "cancelled",
        "incomplete",
        "expired",
        "with a batch",
        "batch completed",
        "batch failed",
        "batch cancelled",
        "batch retried",
        "items left out",
        "with threads",
        "continued a thread",
        "took messages over",
        "refused by a busy thread",
        "with webhooks",
        "tried again",
        "delivered twice",
        "delivered again",
        "delivery delivered",
        "delivery failed",
        "delivery skipped",
        *(f"team {kind}" for kind in KINDS),
    )
    """Situations that must occur among many schedules."""

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        self.schedules += 1
        self.runs += outcome.runs
        self.stats.update(outcome.stats)
        if outcome.violations:
            self.failures.append(outcome)

    def merge(self, other: "Tally") -> None:
        """Count those of another process."""
        self.schedules += other.schedules
        self.runs += other.runs
        self.stats.update(other.stats)
        self.failures += other.failures

    def told(self) -> str:
        """A summary of a few lines."""
        lines = [
            f"{self.schedules} schedules of {self.runs} runs in {self.seconds:.1f} s, "
            f"{self.schedules / max(self.seconds, 1e-9):.0f} per second, "
            f"{len(self.failures)} with violations",
            "  " + ", ".join(f"{what} {n}" for what, n in sorted(self.stats.items())),
        ]
        for outcome in self.failures[:_SHOWN]:
            lines.append(f"  repeat with SEED={outcome.seed}:")
            lines += [f"    {violation[:500]}" for violation in outcome.violations[:_SHOWN]]
        return "\n".join(lines)


def seeds(count: int) -> list[int]:
    """The seeds of the environment, else `count` new ones."""
    if "SEED" in os.environ:
        return [int(os.environ["SEED"])]
    fresh = random.Random(secrets.randbits(64))
    return [fresh.randrange(1 << 48) for _ in range(int(os.environ.get("SEEDS", count)))]


def campaign(chosen: Sequence[int]) -> Tally:
    """Run the schedules of these seeds, in two processes if there are many."""
    began = time.perf_counter()
    if len(chosen) < _WORTH_TWO_PROCESSES:
        tally = _all_of(chosen)
    else:
        tally = Tally()
        pieces = [chosen[start : start + 100] for start in range(0, len(chosen), 100)]
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            for part in pool.map(_all_of, pieces):
                tally.merge(part)
    tally.seconds = time.perf_counter() - began
    return tally


def _all_of(chosen: Sequence[int]) -> Tally:
    tally = Tally()
    for seed in chosen:
        tally.add(run_schedule(seed))
    return tally
