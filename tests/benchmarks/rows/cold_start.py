"""Row 5: from a fresh process to being ready to execute one run, without a provider's SDK."""

from pathlib import Path

from tests.benchmarks.measure import Subject, measure
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]

AUTOGEN = "AutoGen 0.7.5, without its client"


def report(bench: Bench) -> None:
    """Measure and print."""
    heading("Cold start, CPU ms of a fresh process until one run could be executed")
    places = bench.environments
    subjects = [
        _subject(bench, "asyncio and one pydantic model", places.bare, "tests.benchmarks.floor"),
        _subject(bench, "teamrun, library", places.bare, "tests.benchmarks.ours.cold_library"),
        _subject(bench, "teamrun, engine", places.bare, "tests.benchmarks.ours.cold_engine"),
        _subject(bench, AUTOGEN, places.autogen, "tests.benchmarks.peers.autogen_cold"),
    ]
    measure([_once(subject) for subject in subjects])  # so that all have their bytecode
    column = Column(key="cpu_ms", title="CPU ms", digits=0, spread=True, compare=True)
    print_table(measure(subjects), [column], peer=AUTOGEN)


def _subject(bench: Bench, name: str, python: Path, module: str) -> Subject:
    return Subject(name=name, python=python, module=module, repeats=3 if bench.quick else 9)


def _once(subject: Subject) -> Subject:
    return Subject(name=subject.name, python=subject.python, module=subject.module, repeats=1)
