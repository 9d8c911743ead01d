"""Deliveries of webhooks, ten at a time, to a receiver in another process."""

from tests.benchmarks.measure import Subject, measure
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]

_WORKS = {
    "bare": "POST with httpx2 alone",
    "signed": "signed, to a checked destination",
    "delivered": "delivered: marker, request, record",
}


def report(bench: Bench) -> None:
    """Measure and print."""
    heading("Webhooks: an event of 500 bytes, 10 requests at a time, store in memory")
    subjects = [
        Subject(
            name=name,
            python=bench.environments.ours,
            module="tests.benchmarks.ours.webhooks",
            work=work,
            parameters={"deliveries": bench.runs(2_000)},
            repeats=1 if bench.quick else 5,
        )
        for work, name in _WORKS.items()
    ]
    columns = [
        Column(key="per_s", title="deliveries per s", digits=0, spread=True),
        Column(key="cpu_us", title="CPU us each", digits=0, spread=True),
    ]
    print_table(measure(subjects), columns)
