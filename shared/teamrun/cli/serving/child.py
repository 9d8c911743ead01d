"""`python -m teamrun.cli.serving.child MODULE ...`: run MODULE as `python -m` would, on a lifeline.

The lifeline is stdin, a pipe that the parent keeps open and never writes to. When the parent ends,
killed or not, the pipe closes and this process stops: first gracefully, then by force.
"""

import os
import runpy
import signal
import sys
import threading
import time

__all__ = ["main"]

# Longer than a worker's grace time and its shutdown after it.
FORCE_AFTER_S = 45.0


def main() -> None:
    """Run the module that the first argument names."""
    if len(sys.argv) < 2:
        sys.stderr.write("usage: python -m teamrun.cli.serving.child MODULE [ARGUMENT ...]\n")
        sys.exit(2)
    threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(FORCE_AFTER_S)
    os._exit(1)


if __name__ == "__main__":
    main()
