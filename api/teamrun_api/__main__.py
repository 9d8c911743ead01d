"""`python -m teamrun_api`: serve the HTTP API until a signal."""

import gc
import sys

__all__ = ["main"]


def main() -> int:
    """Serve; the exit status is 130 if Ctrl-C arrives before signals are handled."""
    gc.disable()  # until all is imported: the collector would look through it again and again
    try:
        # The imports take a second, in which Ctrl-C must not end in a traceback.
        from teamrun_api.process import main as serve

        return serve()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
