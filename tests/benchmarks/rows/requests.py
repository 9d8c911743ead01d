"""Requests to the store: how many a run needs, and their price in S3."""

from collections.abc import Mapping, Sequence

from tests.benchmarks.measure import Figures, Subject, measure
from tests.benchmarks.prices import S3
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]

Cases = Sequence[tuple[str, str, Mapping[str, float]]]
"""The name, the work and the parameters of each subject."""

_KINDS = [Column(key=kind, title=kind.upper()) for kind in ("puts", "gets", "lists", "deletes")]


def report(bench: Bench) -> None:
    """Measure and print."""
    print(f"\nPrices: {S3.name}, as of {S3.as_of}")
    heading("Requests of a run, from its submit to the removal of its marker")
    lives = [
        (
            f"{turns} calls, a model of {delay_s:g} s",
            "whole_life",
            {"runs": 5, "turns": turns, "delay_s": delay_s},
        )
        for turns in (1, 20)
        for delay_s in (0.0, 0.1)
    ]
    _print(bench, lives, Column(key="usd_1000", title="USD for 1,000 runs", digits=3))
    heading("Requests per minute of each run that waits for its model, with shared live state")
    flights = [("lease of 60 s", "in_flight", {"runs": 20, "leases": 3, "lease_s": 1.0})]
    _print(bench, flights, Column(key="usd_month", title="USD per month", digits=3))
    heading("Requests per minute of a deployment's reaper, after its first sweep")
    sweeps = [(f"{runs} runs queued", "sweeps", {"runs": runs, "minutes": 1}) for runs in (0, 100)]
    _print(bench, sweeps, Column(key="usd_month", title="USD per month", digits=3))
    heading("One visit of the walk over all runs, which visits 6,000 per hour, to an ended run")
    walks = [(f"{turns} turns", "walk", {"runs": 50, "turns": turns}) for turns in (1, 20)]
    _print(bench, walks, Column(key="usd_month", title="USD per month", digits=2))
    heading("One GET of a run that is in no shared view")
    gets = [(f"{turns} turns", "long_get", {"turns": turns}) for turns in (1, 20, 500)]
    columns = Column(key="rounds", title="one after another", digits=0)
    _print(bench, gets, columns, Column(key="usd_1000", title="USD for 1,000 GETs", digits=3))


def _print(bench: Bench, cases: Cases, *columns: Column) -> None:
    print_table(_measured(bench, cases), [*_KINDS, *columns])


def _measured(bench: Bench, cases: Cases) -> dict[str, Figures]:
    return measure(
        [
            Subject(
                name=name,
                python=bench.environments.ours,
                module="tests.benchmarks.ours.requests",
                work=work,
                parameters=parameters,
                repeats=1,  # counts do not vary
            )
            for name, work, parameters in cases
        ]
    )
