"""Each kind of team with the library alone, next to the same in five other libraries."""

from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.measure import Subject, measure
from tests.benchmarks.patterns import PATTERNS
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]

AUTOGEN = "AutoGen 0.7.5"
BUDGET = 1 / 20
"""The largest share of AutoGen's CPU time that a turn may take."""


@dataclass(frozen=True, slots=True)
class _Library:
    name: str
    module: str
    python: Path | None
    runs: int
    """Of a thorough sample: about a second."""


def report(bench: Bench) -> None:
    """Measure and print."""
    places = bench.environments
    libraries = (
        _Library("teamrun", "ours.teams", places.ours, 500),
        _Library(AUTOGEN, "peers.autogen_teams", places.autogen, 25),
        _Library("pydantic-ai", "peers.pydantic_ai_teams", places.pydantic_ai, 10),
        _Library("openai-agents", "peers.openai_agents_teams", places.openai_agents, 25),
        _Library("langgraph", "peers.langgraph_teams", places.langgraph, 50),
        _Library("agent-framework", "peers.agent_framework_teams", places.agent_framework, 25),
    )
    for pattern, what in PATTERNS.items():
        heading(f"Library, CPU microseconds per turn of a team: {pattern} ({what})")
        figures = measure(
            [
                Subject(
                    name=each.name,
                    python=each.python,
                    module=f"tests.benchmarks.{each.module}",
                    work=pattern,
                    parameters={"runs": bench.runs(each.runs)},
                    repeats=bench.repeats,
                )
                for each in libraries
                if each.python is not None
            ]
        )
        column = Column(key="cpu_us", title="CPU us", spread=True, compare=True)
        print_table(figures, [column], peer=AUTOGEN)
        ours = figures["teamrun"]["cpu_us"].median
        most = figures[AUTOGEN]["cpu_us"].median * BUDGET
        least = min(each["cpu_us"].median for name, each in figures.items() if name != "teamrun")
        print(f"  budget: {min(most, least):.1f}; it takes {ours:.1f}")
