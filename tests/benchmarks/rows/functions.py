"""The packages of the functions on AWS Lambda: their sizes, and what their start costs."""

import asyncio
import hashlib
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.benchmarks.measure import (
    ROOT,
    Figure,
    Figures,
    Subject,
    instructions_of_start,
    measure,
)
from tests.benchmarks.ours.team_file import write_team_file
from tests.benchmarks.rows.cold_start import AUTOGEN
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table
from tests.support.services import moto

from teamrun.components.team_file import load_registry
from teamrun.live.memory import MemoryLive
from teamrun.runs.service.requests import RunRequest
from teamrun.runs.service.service import RunService
from teamrun.storage.open import open_store
from teamrun.testing.queue import MemoryQueue

sys.path.append(str(ROOT / "scripts"))

from function_packages import FUNCTIONS, Target, build
from tests.support.function_packages import runtime_site

__all__ = ["report"]

BUDGET = 0.5
"""The largest share of AutoGen's import that the start of the worker may take."""

WORKER = "worker, from its package"
_KEY = "key_of_the_benchmark"
_TIMES = (
    Column(key="cpu_ms", title="CPU ms", digits=0, spread=True, compare=True),
    Column(key="rss_mb", title="MB at most", digits=0, compare=True),
)


def report(bench: Bench) -> None:
    """Build, measure and print."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, "zips")
        files = build(Target("x86_64", python), team=ROOT / "examples", output=output)
        folders = {name: _unpacked(file, Path(scratch, name)) for name, file in files.items()}
        heading("Packages of the functions on AWS Lambda, in MB")
        columns = [
            Column(key="zip", title="zip", digits=1),
            Column(key="unpacked", title="unpacked", digits=0),
        ]
        print_table({name: _sizes(files[name], folders[name]) for name in files}, columns)
        _report_starts(bench, folders)
        _report_first_calls(bench, folders, Path(scratch))


def _report_starts(bench: Bench, folders: Mapping[str, Path]) -> None:
    heading("Start of a function, CPU ms and MB of a fresh process until its handler is there")
    subjects = [_autogen(bench, "autogen_cold")]
    for name in FUNCTIONS:
        module = f"teamrun_infra.aws.{name}"
        subjects.append(_subject(bench, f"{name}, from its package", module, folders[name]))
    measure([replace(subject, repeats=1) for subject in subjects])  # reads the files once
    found = measure(subjects)
    print_table(found, _TIMES, peer=AUTOGEN)
    share = found[WORKER]["cpu_ms"].median / found[AUTOGEN]["cpu_ms"].median
    print(f"  budget of the worker: {BUDGET:.2f} of AutoGen's CPU ms; it takes {share:.2f}")
    if shutil.which("valgrind") is None:
        return
    worker = next(subject for subject in subjects if subject.name == WORKER)
    beside = ROOT / "tests" / "benchmarks"
    floor = replace(worker, module="floor", path=(folders["worker"], beside))
    peer, ours, least = map(instructions_of_start, (subjects[0], worker, floor))
    print(f"  in instructions: {ours / peer:.2f}; asyncio and pydantic alone: {least / peer:.2f}")


def _report_first_calls(bench: Bench, folders: Mapping[str, Path], scratch: Path) -> None:
    heading("The same until the first run has ended, or the first request (GET) is answered")
    messages = scratch / "messages"
    messages.mkdir()
    with moto() as server:
        server.make_bucket("runs")
        digest = hashlib.sha256(_KEY.encode()).hexdigest()
        key = {"name": "me", "sha256": digest, "scopes": ["teams:read"], "tenant": "default"}
        environ = {
            **server.environ(),
            "AWS_REGION": server.region,
            "AWS_ENDPOINT_URL": server.endpoint,
            "BENCH_MESSAGES": str(messages),
            "BENCH_KEY": _KEY,
            "TEAMRUN_STORE_URL": server.url("runs", "runs"),
            "TEAMRUN_QUEUE_URL": "sqs://teamrun",
            "TEAMRUN_CONFIG": str(write_team_file(scratch, turns=1, delay_s=0)),
            "TEAMRUN_ALLOW_SCRIPTED": "true",
            "TEAMRUN_API_KEYS": json.dumps([key]),
            "TEAMRUN_LOG_LEVEL": "warning",
        }
        site = runtime_site(scratch / "site")

        def subject(name: str, module: str) -> Subject:
            found = _subject(bench, f"{name}, from its package", module, folders[name], site)
            return replace(found, environ=environ)

        subjects = [
            _autogen(bench, "autogen_first_run"),
            subject("worker", "first_message"),
            subject("api", "first_request"),
        ]
        _submit(environ, messages, count=1 + subjects[1].repeats)
        measure([replace(each, repeats=1) for each in subjects])
        print_table(measure(subjects), _TIMES, peer=AUTOGEN)


def _submit(environ: Mapping[str, str], messages: Path, *, count: int) -> None:
    """Accept runs as the API does, and leave a message for each."""

    async def submit() -> None:
        registry = load_registry(Path(environ["TEAMRUN_CONFIG"]), environ={}, imports=False)
        store = open_store(environ["TEAMRUN_STORE_URL"])
        service = RunService(
            store=store, live=MemoryLive(), dispatcher=MemoryQueue(), registry=registry
        )
        for _ in range(count):
            run = await service.submit("default", RunRequest(team="team", input="Name a word."))
            (messages / f"default.{run.run.id}").touch()
        await service.close()
        await store.close()

    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        asyncio.run(submit())


def _autogen(bench: Bench, module: str) -> Subject:
    return Subject(
        name=AUTOGEN,
        python=bench.environments.autogen,
        module=f"tests.benchmarks.peers.{module}",
        repeats=_repeats(bench),
    )


def _subject(bench: Bench, name: str, module: str, *path: Path) -> Subject:
    return Subject(
        name=name,
        python=bench.environments.ours,
        module=module,
        path=(*path, ROOT / "tests" / "benchmarks" / "instance"),
        repeats=_repeats(bench),
    )


def _repeats(bench: Bench) -> int:
    return 3 if bench.quick else 9


def _unpacked(file: Path, folder: Path) -> Path:
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    return folder


def _sizes(file: Path, folder: Path) -> Figures:
    unpacked = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    found = {"zip": file.stat().st_size / 1e6, "unpacked": unpacked / 1e6}
    return {key: Figure(value, value, value, 1) for key, value in found.items()}
