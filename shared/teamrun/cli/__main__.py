"""The entry point of `teamrun`."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that the arguments name; status 0, 1 (the run failed) or 2 (wrong use)."""
    try:
        # The imports take a second, in which Ctrl-C must not end in a traceback.
        from teamrun.cli.entry import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
