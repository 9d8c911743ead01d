"""Runs a command and turns its errors into a line and an exit status."""

import io
import os
import sys
from collections.abc import Sequence

from teamrun.cli.problem import print_error, print_problem, wants_json
from teamrun.core.main_loop import exit_after
from teamrun.core.optional import install_command
from teamrun.errors import MissingPackage, TeamrunError, UsageError
from teamrun.logs import configure_logging

__all__ = ["main"]


def main() -> None:
    """Run the command that the arguments name; status 0, 1 (the run failed) or 2 (wrong use)."""
    exit_after(_main)


def _main() -> int:
    _write_anything()
    configure_logging(level="warning", form="text")  # `serve`, `api` and `worker` have settings
    as_json = wants_json(sys.argv[1:], os.environ)
    try:
        _check_arguments(sys.argv[1:])
        return _run(as_json=as_json)
    except TeamrunError as error:
        print_error(error, as_json=as_json)
        return 2 if isinstance(error, UsageError) else 1
    except OSError as error:
        return _unwritable(error, as_json=as_json)


def _run(*, as_json: bool) -> int:
    """Run the command; its exit status."""
    try:
        from teamrun.cli.app import app
        from teamrun.cli.command import wrong_use
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("teamrun"):
            raise
        raise MissingPackage(
            f"The command line needs the package {error.name!r}: {install_command('cli')}"
        ) from error
    with wrong_use(as_json=as_json):
        return app(prog_name="teamrun", standalone_mode=False) or 0


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


def _unwritable(error: OSError, *, as_json: bool) -> int:
    """Stdout cannot be written: its disk is full, or its reader has gone."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())  # the interpreter flushes stdout once more at its end
    if as_json:
        print_problem(code="unwritable", detail=str(error))
    else:
        sys.stderr.write(f"teamrun: {error}\n")
    return 1
