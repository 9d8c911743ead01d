"""`teamrun version`."""

import json

from teamrun.cli.options import JsonOption
from teamrun.cli.screen import print_json, result
from teamrun.version import VERSION

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun version"


def command(json_: JsonOption = False) -> None:
    """Print the version."""
    if json_:
        print_json(json.dumps({"version": VERSION}))
    else:
        result(VERSION)
