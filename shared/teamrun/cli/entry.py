"""Runs a command and turns its errors into a line and an exit status."""

import io
import os
import sys
from collections.abc import Sequence

from teamrun.core.main_loop import exit_after
from teamrun.core.optional import install_command
from teamrun.errors import TeamrunError, UsageError
from teamrun.logs import configure_logging

__all__ = ["main"]


def main() -> None:
    """Run the command that the arguments name; status 0, 1 (the run failed) or 2 (wrong use)."""
    exit_after(_main)


def _main() -> None:
    _write_anything()
    configure_logging(level="warning", form="text")  # `serve`, `api` and `worker` have settings
    try:
        _check_arguments(sys.argv[1:])
        from teamrun.cli.app import app
    except UsageError as error:
        sys.exit(_failed(error))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("teamrun"):
            raise
        sys.stderr.write(
            f"The command line needs the package {error.name!r}: {install_command('cli')}\n"
        )
        sys.exit(2)
    try:
        app(prog_name="teamrun")
    except TeamrunError as error:
        sys.exit(_failed(error))
    except OSError as error:
        sys.exit(_unwritable(error))


def _write_anything() -> None:
    """Escape characters that a stream cannot encode, so that they do not fail the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _check_arguments(arguments: Sequence[str]) -> None:
    """Refuse arguments and variables that are not text.

    Python reads each byte that is not UTF-8 as half of a surrogate pair (PEP 383), which neither
    JSON nor a URL can carry.
    """
    for number, argument in enumerate(arguments, 1):
        if not _is_text(argument):
            raise UsageError(
                f"Argument {number}, {argument!a}, is not UTF-8. Pass the text in UTF-8, or "
                "through stdin with `-`."
            )
    for name, value in os.environ.items():
        if name.startswith("TEAMRUN_") and not _is_text(value):
            raise UsageError(f"The variable {name} is not UTF-8; set it to text in UTF-8.")


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _failed(error: TeamrunError) -> int:
    sys.stderr.write(f"teamrun: {error}\n")
    return 2 if isinstance(error, UsageError) else 1


def _unwritable(error: OSError) -> int:
    """Stdout cannot be written: its disk is full, or its reader has gone."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())  # the interpreter flushes stdout once more at its end
    sys.stderr.write(f"teamrun: {error}\n")
    return 1
