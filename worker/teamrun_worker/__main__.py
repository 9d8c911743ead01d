"""`python -m teamrun_worker`: execute runs until SIGTERM."""

import gc
import sys

__all__ = ["main"]


def main() -> None:
    """Execute runs and exit; the status is 130 if Ctrl-C arrives before signals are handled."""
    gc.disable()  # until all is imported: the collector would look through it again and again
    try:
        # The imports take a second, in which Ctrl-C must not end in a traceback.
        from teamrun.core.main_loop import exit_after
        from teamrun_worker.process import main as work

        exit_after(work)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
