"""Becomes another process: flags turned into the variables that it reads."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import NoReturn

from teamrun.settings import PREFIX

__all__ = ["become", "variables"]


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
