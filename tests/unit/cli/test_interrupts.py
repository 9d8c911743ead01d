"""Ctrl-C while a process starts: it ends quietly with status 130, whatever is being imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPTED = """
import importlib.util, runpy, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == imported:
            raise KeyboardInterrupt

imported, module = sys.argv[1:3]
sys.meta_path.insert(0, Interrupting())
del sys.argv[1:3]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("teamrun_api", "teamrun_api.process"),
        ("teamrun_api", "pydantic"),
        ("teamrun_api", "uvicorn"),
        ("teamrun_worker", "teamrun_worker.process"),
        ("teamrun_worker", "celery"),
        ("teamrun_worker", "teamrun_worker.host"),
        ("teamrun", "teamrun.cli.entry"),
        ("teamrun", "typer"),
        ("teamrun", "teamrun.cli.serve"),
        ("teamrun", "httpx2"),
    ],
)
def test_an_interrupted_import_ends_with_130_and_without_a_word(
    module: str, imported: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, imported, module, "runs"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
