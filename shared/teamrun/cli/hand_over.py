"""Becomes another process: flags turned into the variables that it reads."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import NoReturn

from teamrun.core.optional import require
from teamrun.errors import MissingPackage
from teamrun.settings import PREFIX

__all__ = ["become", "check_packages", "variables"]

_PACKAGES = {"api": ("fastapi", "uvicorn"), "worker": ("celery", "redis")}
"""A package of the extra that its process requires."""


def check_packages(*extras: str, command: str) -> None:
    """Check that processes can start, before one does and ends in a traceback.

    Raises:
        MissingPackage: A package is not installed; the message has one command that installs all
            the extras that are missing.
    """
    first: MissingPackage | None = None
    missing: list[str] = []
    for extra in extras:
        try:
            for package in _PACKAGES[extra]:
                require(package, extra=extra, needed_by=f"`teamrun {command}`")
        except MissingPackage as error:
            first = first or error
            missing.append(extra)
    if first:
        package = first.data["package"]
        require(package, extra=",".join(missing), needed_by=f"`teamrun {command}`")


def variables(**flags: object) -> dict[str, str]:
    """The flags that were given, as environment variables."""
    return {
        f"{PREFIX}{name.upper()}": str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in flags.items()
        if value is not None
    }


def become(module: str, environ: Mapping[str, str]) -> NoReturn:
    """Go on as `python -m module`, with these variables besides the ones that are set."""
    argv = [sys.executable, "-m", module]
    full = {**os.environ, **environ}
    if sys.platform == "win32":
        sys.exit(subprocess.call(argv, env=full))
    os.execve(sys.executable, argv, full)
