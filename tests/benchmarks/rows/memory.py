"""Row 4: memory of a run in flight, halfway, above the idle process."""

from tests.benchmarks.measure import Subject, measure
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]

AUTOGEN = "AutoGen 0.7.5"


def report(bench: Bench) -> None:
    """Measure and print, by the number of runs in flight."""
    for runs in (1, 100, 1_000):
        heading(
            f"Memory, KB per run in flight: {runs:,} halted after 10 of 20 turns, "
            "above the idle process"
        )
        subjects = [
            Subject(
                name=name,
                python=bench.environments.autogen if name == AUTOGEN else bench.environments.ours,
                module=f"tests.benchmarks.{module}",
                work="halfway",
                parameters={"runs": runs, "turns": 20} | more,
                repeats=1 if bench.quick else 3,
            )
            for name, module, more in (
                ("teamrun, library", "ours.library", {}),
                ("teamrun, durable on file://", "ours.durable", {"store": "file"}),
                (AUTOGEN, "peers.autogen_team", {}),
            )
        ]
        column = Column(key="memory_kb", title="KB", spread=True, compare=True)
        print_table(measure(subjects), [column], peer=AUTOGEN)
