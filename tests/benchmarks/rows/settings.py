"""How thorough a measurement is."""

from dataclasses import dataclass

from tests.benchmarks.environments import Environments

__all__ = ["Bench"]


@dataclass(frozen=True, slots=True)
class Bench:
    """The settings of every row."""

    environments: Environments
    quick: bool

    @property
    def repeats(self) -> int:
        """How many samples the median is taken of."""
        return 1 if self.quick else 5

    def runs(self, thorough: int) -> int:
        """The number of runs of a sample, scaled from the thorough number."""
        return max(1, thorough // 5) if self.quick else thorough
