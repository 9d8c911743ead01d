"""Imports the operator's tools and custom agents in a separate process, to find their errors.

`teamrun serve` starts it before anything else. The supervising process must not import them,
because only the worker may start their threads, servers or use of a GPU.
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
    """Find all faults of a definition file, those of its tools and custom agents included.

    Raises:
        DefinitionError: There is one, or the process that imports them has ended early.
    """
    argv = (sys.executable, "-m", "teamrun.cli.serving.imports", str(config))
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode == _FAULTS and done.stdout:
        raise DefinitionError(done.stdout.decode("utf-8", "replace"))
    if done.returncode != 0:
        raise DefinitionError(
            f"The process that imports the tools and custom agents of {str(config)!r} ended with "
            f"status {done.returncode}. Run `teamrun check` to find the module."
        )


def main() -> None:
    """Write the errors to stdout, with status 2; output of the modules goes to stderr."""
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
