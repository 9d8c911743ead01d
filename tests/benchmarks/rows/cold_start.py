"""Row 5: from a fresh process to being ready to execute one run, without and with an SDK."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.measure import Subject, measure
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]

AUTOGEN = "AutoGen 0.7.5, without its client"
AUTOGEN_OPENAI = "AutoGen 0.7.5, with its OpenAI client"


def report(bench: Bench) -> None:
    """Measure and print."""
    heading("Cold start, CPU ms and MB of a fresh process until one run could be executed")
    places = bench.environments
    subjects = [
        _subject(bench, "asyncio and one pydantic model", places.bare, "floor"),
        _subject(bench, "teamrun, library", places.bare, "ours.cold_library"),
        _subject(bench, "teamrun, engine", places.bare, "ours.cold_engine"),
        _subject(bench, AUTOGEN, places.autogen, "peers.autogen_cold"),
    ]
    _report(subjects, peer=AUTOGEN)
    heading("The same with the client of OpenAI, whose SDK has the largest share")
    subjects = [
        _subject(bench, "the SDK alone", places.ours, "peers.openai_cold"),
        _subject(bench, "teamrun, library with OpenAI client", places.ours, "ours.cold_openai"),
        _subject(bench, AUTOGEN_OPENAI, places.autogen_openai, "peers.autogen_cold_openai"),
    ]
    _report(subjects, peer=AUTOGEN_OPENAI)


def _report(subjects: Sequence[Subject], *, peer: str) -> None:
    measure([replace(subject, repeats=1) for subject in subjects])  # so that all have bytecode
    columns = [
        Column(key="cpu_ms", title="CPU ms", digits=0, spread=True, compare=True),
        Column(key="rss_mb", title="MB at most", digits=0, compare=True),
    ]
    print_table(measure(subjects), columns, peer=peer)


def _subject(bench: Bench, name: str, python: Path, module: str) -> Subject:
    repeats = 3 if bench.quick else 9
    return Subject(name=name, python=python, module=f"tests.benchmarks.{module}", repeats=repeats)
