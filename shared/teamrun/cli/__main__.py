"""The entry point of `teamrun`."""

import sys

from teamrun.errors import TeamrunError, UsageError

__all__ = ["main"]


def main() -> None:
    """Run the command that the arguments name; status 0, 1 (the run failed) or 2 (wrong use)."""
    try:
        from teamrun.cli.app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("teamrun"):
            raise
        sys.stderr.write(
            f"The command line needs the package {error.name!r}: pip install 'teamrun[cli]'\n"
        )
        sys.exit(2)
    try:
        app(prog_name="teamrun")
    except TeamrunError as error:
        sys.stderr.write(f"teamrun: {error}\n")
        sys.exit(2 if isinstance(error, UsageError) else 1)


if __name__ == "__main__":
    main()
