"""Figures that tests measured, printed together at the end of a test run."""

import pytest

__all__ = ["Figures", "figures_of"]

_LINES = pytest.StashKey["Figures"]()


class Figures:
    """Lines for the end of a test run."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, *lines: str) -> None:
        self.lines.extend(lines)


def figures_of(config: pytest.Config) -> Figures:
    """The figures of this test run."""
    return config.stash.setdefault(_LINES, Figures())
