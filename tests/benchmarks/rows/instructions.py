"""The same work as in other rows, in instructions: exact on a busy machine, too."""

import shutil
from pathlib import Path

from tests.benchmarks.measure import Figure, Figures, Subject, instructions, instructions_of_start
from tests.benchmarks.patterns import PATTERNS, UNITS
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]

AUTOGEN = "AutoGen 0.7.5"
_SIZES = {"teamrun": (10, 60), AUTOGEN: (2, 6)}
"""Runs of the smaller and of the larger sample. One of AutoGen's costs 20 times as much."""
_TEAM_SIZES = {"teamrun": (20, 120), AUTOGEN: (4, 16)}
"""More, as a collection of garbage in the larger sample alone would be a tenth of a small one."""
_MODULES = {
    "turn": ("ours.library", "peers.autogen_team"),
    "tool_round": ("ours.library", "peers.autogen_team"),
    **dict.fromkeys(PATTERNS, ("ours.teams", "peers.autogen_teams")),
}


def report(bench: Bench) -> None:
    """Measure and print, or print why nothing is counted."""
    heading("Instructions per turn and per tool round, in thousands, and per start, in millions")
    if shutil.which("valgrind") is None:
        print("  left out: valgrind is not installed")
        return
    for title, work, parameters in (
        ("agent turn", "turn", {"turns": 20}),
        ("tool round", "tool_round", {"rounds": 20}),
    ):
        units = next(iter(parameters.values()))
        figures = {name: _per_turn(bench, name, work, parameters, units) for name in _SIZES}
        print_table(figures, [Column(key="count", title=title, compare=True)], peer=AUTOGEN)
    for team, units in UNITS.items():
        figures = {name: _per_turn(bench, name, team, {}, units) for name in _SIZES}
        column = Column(key="count", title=f"turn of the team {team}", compare=True)
        print_table(figures, [column], peer=AUTOGEN)
    places = bench.environments
    starts = {
        "asyncio and one pydantic model": _start(places.bare, "floor"),
        "teamrun, library": _start(places.bare, "ours.cold_library"),
        "teamrun, engine": _start(places.bare, "ours.cold_engine"),
        AUTOGEN: _start(places.autogen, "peers.autogen_cold"),
    }
    _print_starts(starts, "cold start")
    first_runs = {
        "teamrun, durable": _start(places.bare, "ours.first_run"),
        AUTOGEN: _start(places.autogen, "peers.autogen_first_run"),
    }
    _print_starts(first_runs, "to the end of a first run")


def _print_starts(figures: dict[str, Figures], title: str) -> None:
    column = Column(key="count", title=title, digits=0, compare=True)
    print_table(figures, [column], peer=AUTOGEN)


def _per_turn(
    bench: Bench, name: str, work: str, parameters: dict[str, int], units: int
) -> Figures:
    places = bench.environments
    ours, theirs = _MODULES[work]
    subject = Subject(
        name=name,
        python=places.autogen if name == AUTOGEN else places.ours,
        module=f"tests.benchmarks.{theirs if name == AUTOGEN else ours}",
        work=work,
        parameters=parameters,
    )
    least, most = (_TEAM_SIZES if work in PATTERNS else _SIZES)[name]
    per_run = instructions(subject, units="runs", least=least, most=most)
    return _figures(per_run / units)


def _start(python: Path, module: str) -> Figures:
    subject = Subject(name=module, python=python, module=f"tests.benchmarks.{module}")
    instructions_of_start(subject)  # so that it has its bytecode
    return _figures(instructions_of_start(subject))


def _figures(count: float) -> Figures:
    return {"count": Figure(count, count, count, 1)}
