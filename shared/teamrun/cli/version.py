"""`teamrun version`."""

from teamrun.cli.screen import result
from teamrun.version import VERSION

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun version"


def command() -> None:
    """Print the version."""
    result(VERSION)
