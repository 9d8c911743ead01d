"""Imports the operator's tools and agent classes in a process of its own, to find their faults.

`teamrun serve` starts it before anything else. The process that keeps the others alive must not
import them: what they start (threads, servers, a GPU) belongs into the worker alone.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError

__all__ = ["check_imports", "main"]

_FAULTS: Final = 2


def check_imports(config: Path) -> None:
    """Find all faults of a definition file, those of its tools and agent classes included.

    Raises:
        DefinitionError: There is one, or the process that imports them has ended early.
    """
    argv = (sys.executable, "-m", "teamrun.cli.serving.imports", str(config))
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode == _FAULTS and done.stdout:
        raise DefinitionError(done.stdout.decode("utf-8", "replace"))
    if done.returncode != 0:
        raise DefinitionError(
            f"The process that imports the tools and agent classes of {str(config)!r} ended with "
            f"status {done.returncode}. Run `teamrun check` to find the module."
        )


def main() -> None:
    """Write the faults to stdout, with status 2; what the modules print goes to stderr."""
    answer = os.dup(1)
    os.dup2(2, 1)
    try:
        load_registry(Path(sys.argv[1]), environ=os.environ, imports=True).preload()
    except DefinitionError as error:
        os.write(answer, str(error).encode("utf-8", "replace"))
        sys.stdout.flush()
        os._exit(_FAULTS)  # threads that the modules have started must not keep it
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
