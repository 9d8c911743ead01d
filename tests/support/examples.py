"""How many examples a property is tried with: fewer in a fast run, all in a whole one."""

import os
import random
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import settings

__all__ = ["FULL", "examples", "seeds", "thinned", "use_profiles"]

T = TypeVar("T")

FULL = 100
"""The number of examples of a property in a whole run."""


def use_profiles() -> None:
    """Make the profiles `fast`, which is the default, and `full` (`--hypothesis-profile=full`).

    CI tries the same examples each time. Time limits per example would fail on a busy machine.
    """
    same = bool(os.environ.get("CI"))
    settings.register_profile("fast", max_examples=30, deadline=None, derandomize=same)
    settings.register_profile("full", max_examples=FULL, deadline=None, derandomize=same)
    settings.load_profile("fast")


def examples(full: int) -> settings:
    """Settings of a test that tries `full` examples in a whole run, in proportion in a fast one."""
    return settings(max_examples=max(1, full * settings().max_examples // FULL))


def seeds(full: int) -> range:
    """The seeds of a test of random cases: `full` in a whole run, in proportion in a fast one."""
    return range(max(1, full * settings().max_examples // FULL))


def thinned(cases: Sequence[T]) -> Sequence[T]:
    """All cases of a large table in a whole run; in a fast one some, which are always the same."""
    count = max(1, len(cases) * settings().max_examples // FULL)
    chosen = random.Random(0).sample(range(len(cases)), min(count, len(cases)))
    return [cases[index] for index in sorted(chosen)]
