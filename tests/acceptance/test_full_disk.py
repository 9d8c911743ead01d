"""`teamrun serve` on a disk that is full, and has space again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.full_disk_serve import CASES

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        shutil.which("unshare") is None or os.geteuid() != 0,
        reason="needs root and Linux namespaces",
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_serve_outlasts_a_full_disk_and_a_first_start_on_one_is_refused(
    tmp_path: Path, case: str
) -> None:
    program = [sys.executable, "-m", "tests.support.full_disk_serve", case, str(tmp_path)]
    done = subprocess.run(
        ["unshare", "--mount", *program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=170,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine does not let a test mount a file system")
    assert done.returncode == 0, done.stderr
