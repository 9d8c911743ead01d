"""The validators of deployment files, in an environment that is made once from its lock."""

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import venv
import zipfile
from collections.abc import Generator, Mapping
from pathlib import Path

from tests.support.service import ROOT
from tests.support.services import not_here

__all__ = ["deploy_tools", "said"]

LOCK = ROOT / "requirements-deploy.lock"
FOLDER = ROOT / ".venv-deploy"


def deploy_tools() -> Path:
    """The folder of the programs: `helm`, `hadolint`, `check-jsonschema`, `kubernetes-validate`."""
    with _locked():
        stamp = FOLDER / "lock.sha256"
        wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text(encoding="ascii") != wanted:
            shutil.rmtree(FOLDER, ignore_errors=True)
            _make()
            stamp.write_text(wanted, encoding="ascii")
    return FOLDER / "bin"


def said(
    *command: object,
    status: int = 0,
    stdin: str | None = None,
    cwd: Path = ROOT,
    environ: Mapping[str, str] | None = None,
) -> str:
    """What a command prints; it has to end with the status."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def _make() -> None:
    venv.create(FOLDER, with_pip=True)
    # The lock is complete. Without --no-deps, pip would ask for the AWS CDK, which is not used.
    pip = [FOLDER / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps"]
    command = [*pip, "--no-compile", "--require-hashes", "-r", LOCK]
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        encoding="utf-8",
        timeout=500,
        check=False,
    )
    if done.returncode != 0:
        not_here(f"the validators cannot be installed: {done.stderr[-500:]}")
    helm = FOLDER / "bin" / "helm"
    helm.write_bytes(_helm())
    helm.chmod(0o755)


def _helm() -> bytes:
    """The program, which is in an archive of a package of an archive of the wheel."""
    [package] = FOLDER.glob("lib/python*/site-packages/aws_cdk/*/_jsii/*.tgz")
    with tarfile.open(package) as files:
        layer = files.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as parts:
            return parts.read("helm/helm")


@contextlib.contextmanager
def _locked() -> Generator[None]:
    with (ROOT / ".venv-deploy.installing").open("a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
