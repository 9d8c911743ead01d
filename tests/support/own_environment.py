"""Virtual environments beside the project's own, each made once from its lock."""

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import venv
from collections.abc import Callable, Generator
from pathlib import Path

from tests.support.service import ROOT
from tests.support.services import not_here

__all__ = ["own_environment"]


def own_environment(name: str, *, finish: Callable[[Path], None] | None = None) -> Path:
    """The folder `.venv-{name}` with what `requirements-{name}.lock` lists; made at first use.

    Args:
        name: Of the lock and the folder.
        finish: Called with the folder after the packages have been installed.
    """
    lock, folder = ROOT / f"requirements-{name}.lock", ROOT / f".venv-{name}"
    with _locked(name):
        stamp = folder / "lock.sha256"
        wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text(encoding="ascii") != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            _install(lock, folder)
            if finish is not None:
                finish(folder)
            stamp.write_text(wanted, encoding="ascii")
    return folder


def _install(lock: Path, folder: Path) -> None:
    venv.create(folder, with_pip=True)
    # Locks are complete. Without --no-deps, pip would ask for the AWS CDK, which is not used.
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps"]
    command = [*pip, "--no-compile", "--require-hashes", "-r", lock]
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        encoding="utf-8",
        timeout=500,
        check=False,
    )
    if done.returncode != 0:
        not_here(f"the packages of {lock.name} cannot be installed: {done.stderr[-500:]}")


@contextlib.contextmanager
def _locked(name: str) -> Generator[None]:
    with (ROOT / f".venv-{name}.installing").open("a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
