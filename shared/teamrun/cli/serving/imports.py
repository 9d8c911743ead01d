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


def check_imports(config: Path) -> list[Path]:
    """Find all faults of a definition file, those of its tools and custom agents included.

    Returns:
        The Python files in the folder of the definition file that were imported.

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
    return [Path(os.fsdecode(name)) for name in done.stdout.split(b"\0") if name]


def main() -> None:
    """Write the errors to stdout, with status 2, or the names of the files that were imported.

    Output of the modules goes to stderr.
    """
    answer, config = os.dup(1), Path(sys.argv[1])
    os.dup2(2, 1)
    try:
        load_registry(config, environ=os.environ, imports=True).preload()
    except DefinitionError as error:
        os.write(answer, str(error).encode("utf-8", "replace"))
        sys.stdout.flush()
        os._exit(_FAULTS)  # threads that the modules have started must not keep it
    os.write(answer, b"\0".join(os.fsencode(path) for path in _imported(config.parent)))
    sys.stdout.flush()
    os._exit(0)


def _imported(folder: Path) -> list[Path]:
    """The files of the modules that are in a folder, without those of an environment in it."""
    inside, environment = folder.resolve(), Path(sys.prefix).resolve()
    files = {
        Path(file)
        for module in tuple(sys.modules.values())
        if (file := getattr(module, "__file__", None))
    }
    return sorted(
        path
        for path in files
        if path.resolve().is_relative_to(inside) and not path.resolve().is_relative_to(environment)
    )


if __name__ == "__main__":
    main()
