"""The packages of the functions on AWS Lambda: their sizes, and what their start costs."""

import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.measure import ROOT, Figure, Figures, Subject, measure
from tests.benchmarks.rows.cold_start import AUTOGEN
from tests.benchmarks.rows.settings import Bench
from tests.benchmarks.table import Column, heading, print_table

sys.path.append(str(ROOT / "scripts"))

from function_packages import FUNCTIONS, Target, build

__all__ = ["report"]


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
        heading("Start of a function, CPU ms and MB of a fresh process until its handler is there")
        autogen = Subject(
            name=AUTOGEN,
            python=bench.environments.autogen,
            module="tests.benchmarks.peers.autogen_cold",
            repeats=3 if bench.quick else 9,
        )
        subjects = [autogen, *(_subject(bench, name, folders[name]) for name in FUNCTIONS)]
        measure([replace(subject, repeats=1) for subject in subjects])  # reads the files once
        columns = [
            Column(key="cpu_ms", title="CPU ms", digits=0, spread=True, compare=True),
            Column(key="rss_mb", title="MB at most", digits=0, compare=True),
        ]
        print_table(measure(subjects), columns, peer=AUTOGEN)


def _subject(bench: Bench, name: str, folder: Path) -> Subject:
    return Subject(
        name=f"{name}, from its package",
        python=bench.environments.ours,
        module=f"teamrun_infra.aws.{name}",
        path=(folder,),
        repeats=3 if bench.quick else 9,
    )


def _unpacked(file: Path, folder: Path) -> Path:
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)
    return folder


def _sizes(file: Path, folder: Path) -> Figures:
    unpacked = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    found = {"zip": file.stat().st_size / 1e6, "unpacked": unpacked / 1e6}
    return {key: Figure(value, value, value, 1) for key, value in found.items()}
