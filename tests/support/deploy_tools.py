"""The validators of deployment files, in an environment that is made once from its lock."""

import io
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.own_environment import own_environment
from tests.support.service import ROOT

__all__ = ["deploy_tools", "said"]


def deploy_tools() -> Path:
    """The folder of the programs: `helm`, `hadolint`, `check-jsonschema`, `kubernetes-validate`."""
    return own_environment("deploy", finish=_add_helm) / "bin"


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


def _add_helm(folder: Path) -> None:
    helm = folder / "bin" / "helm"
    helm.write_bytes(_helm(folder))
    helm.chmod(0o755)


def _helm(folder: Path) -> bytes:
    """The program, which is in an archive of a package of an archive of the wheel."""
    [package] = folder.glob("lib/python*/site-packages/aws_cdk/*/_jsii/*.tgz")
    with tarfile.open(package) as files:
        layer = files.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as parts:
            return parts.read("helm/helm")
