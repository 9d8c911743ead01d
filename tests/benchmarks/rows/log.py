"""The cost of an entry of a log, of resuming a run from its log, and of the k-th answer."""

import importlib.util

from tests.benchmarks.measure import Subject, measure
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

from teamrun.runs.log.snapshot import SHORT

__all__ = ["report"]

_STORES = {
    "memory": "memory",
    "file": "file://, not flushed",
    "fsync": "file://, flushed (TEAMRUN_FSYNC)",
    "s3": "s3://, the moto server on this machine",
}
_LANGGRAPH = "langgraph 1.2.22, SQLite saver"


def report(bench: Bench) -> None:
    """Measure and print."""
    _appends(bench)
    for steps in (0, 10, 100, 1000, 5000):
        _resumes(bench, steps)
    for k in (1, 40, 400):
        _answers(bench, k)


def _appends(bench: Bench) -> None:
    heading("Append of one entry with a model's answer, one after another, microseconds")
    stores = [kind for kind in _STORES if kind != "s3" or importlib.util.find_spec("moto")]
    subjects = [
        Subject(
            name=_STORES[kind],
            python=bench.environments.ours,
            module="tests.benchmarks.ours.log",
            work="append",
            parameters={"store": kind, "count": bench.runs(2000 if kind != "s3" else 500)},
            repeats=bench.repeats,
        )
        for kind in stores
    ]
    columns = [
        Column(key="wall_us", title="wall", spread=True),
        Column(key="store_wall_us", title="wall, the same bytes alone"),
        Column(key="cpu_us", title="CPU"),
        Column(key="store_us", title="CPU, the same bytes alone"),
    ]
    print_table(measure(subjects), columns)


def _resumes(bench: Bench, steps: int) -> None:
    what = f"{steps} calls on record" if steps else "nothing on record: a claim alone"
    heading(f"From taking a run up to the beginning of its next call, {what}")
    parameters = {"steps": steps, "runs": bench.runs(20 if steps < 1000 else 5000 // steps)}
    names = {True: "teamrun, memory store", False: "teamrun, memory store, without its snapshot"}
    subjects = [
        Subject(
            name=names[has_snapshot],
            python=bench.environments.ours,
            module="tests.benchmarks.ours.log",
            work="resume",
            parameters={**parameters, "has_snapshot": has_snapshot},
            repeats=bench.repeats,
        )
        for has_snapshot in ((True, False) if steps > SHORT else (True,))
    ]
    # To write 5,000 checkpoints that each contain all messages takes the peer many minutes.
    if bench.environments.langgraph is not None and steps <= 1000:
        subjects.append(
            Subject(
                name=_LANGGRAPH,
                python=bench.environments.langgraph,
                module="tests.benchmarks.peers.langgraph_graph",
                work="resume",
                parameters=parameters,
                repeats=bench.repeats,
            )
        )
    columns = [Column(key="cpu_ms", title="CPU ms", digits=2, spread=True, compare=True)]
    if steps:
        columns.append(Column(key="step_us", title="us per call"))
    print_table(measure(subjects), columns, peer=_LANGGRAPH)


def _answers(bench: Bench, k: int) -> None:
    heading(f"Answer number {k} of one run, from its notice until the run waits again")
    subjects = [
        Subject(
            name=f"teamrun, memory store, {name}",
            python=bench.environments.ours,
            module="tests.benchmarks.ours.answers",
            work="answer",
            parameters={"k": k, "runs": bench.runs(40 if k < 400 else 10), "is_warm": is_warm},
            repeats=bench.repeats,
        )
        for name, is_warm in (("the same worker", True), ("another worker", False))
    ]
    columns = [
        Column(key="cpu_ms", title="CPU ms", digits=2, spread=True),
        Column(key="calls", title="store calls", digits=0),
        Column(key="objects", title="objects read or written", digits=0),
    ]
    print_table(measure(subjects), columns)
