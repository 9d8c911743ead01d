"""A page of a list in a folder while runs come in, by the number of runs in the store."""

from tests.benchmarks.measure import Subject, measure
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]


def report(bench: Bench) -> None:
    """Measure and print."""
    heading("A page of 20 runs in file:// after each submit; the other runs are 1 s apart")
    counts = (40, 10_000) if bench.quick else (40, 10_000, 100_000)
    subjects = [
        Subject(
            name=f"{count:,} runs in the store",
            python=bench.environments.ours,
            module="tests.benchmarks.ours.lists",
            work="page",
            parameters={"runs": count, "pages": bench.runs(50)},
            repeats=1 if bench.quick else 3,
        )
        for count in counts
    ]
    columns = [
        Column(key="cpu_us", title="CPU us per page", digits=0, spread=True),
        Column(key="wall_ms", title="wall ms, p50"),
        Column(key="submit_us", title="CPU us per submit", digits=0),
    ]
    print_table(measure(subjects), columns)
