"""`python -m teamrun.compat.autogen script.py`: run a script for AutoGen on Teamrun."""

import argparse
import runpy
import sys
from pathlib import Path

from teamrun.compat.autogen import install


def main() -> None:
    """Run the script in place of this command, with the arguments after it."""
    parser = argparse.ArgumentParser(
        prog="python -m teamrun.compat.autogen",
        description="Run a script for AutoGen on Teamrun.",
    )
    parser.add_argument("--replace", action="store_true", help="Also if AutoGen is installed here.")
    parser.add_argument("script", type=Path, help="The Python file.")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="Those of the script.")
    given = parser.parse_args()
    if not given.script.is_file():
        parser.error(f"There is no file {given.script}.")
    install(replace=given.replace)
    sys.argv = [str(given.script), *given.arguments]
    sys.path[0] = str(given.script.resolve().parent)
    runpy.run_path(str(given.script), run_name="__main__")


main()
