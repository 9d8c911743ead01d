"""A rule that is broken, so that the simulator has to notice it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.simulation.weather import Weather

__all__ = ["Mutant", "Patch", "background"]

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutant:
    """One rule less."""

    name: str
    apply: Callable[[Patch], None] = lambda patch: None
    sweeps: bool = True
    focus: Callable[[Weather], Weather] = lambda weather: weather
    """Weather in which it matters, if that is rare."""
    has_hooks: bool = False
    """All schedules have webhooks; otherwise none has."""
    has_batch: bool = False
    """All schedules have a batch; otherwise none has."""
    has_teams: bool = False
    """All schedules have real teams; otherwise none has."""
    has_threads: bool = False
    """All schedules have threads; otherwise none has."""
    seed: int = 0
    """Of a schedule that notices it; `python -m tests.simulation hunt` finds another one."""


_tasks: set[asyncio.Task[Any]] = set()


def background(work: Any) -> None:
    """Let something happen later that should have happened first."""
    task = asyncio.ensure_future(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
