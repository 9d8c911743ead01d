"""How thorough a measurement is."""

from dataclasses import dataclass

from tests.benchmarks.environments import Environments

__all__ = ["Bench"]


@dataclass(frozen=True, slots=True)
class Bench:
    """What every row is given."""

    environments: Environments
    quick: bool

    @property
    def repeats(self) -> int:
        """How many samples the median is taken of."""
        return 1 if self.quick else 5

    def runs(self, thorough: int) -> int:
        """How many runs a sample has, where so many are thorough."""
        return max(1, thorough // 5) if self.quick else thorough
