"""Arguments that several commands about threads have."""

from typing import Annotated

import typer

__all__ = ["ThreadArgument"]

ThreadArgument = Annotated[
    str, typer.Argument(metavar="THREAD_ID", envvar="TEAMRUN_THREAD", help="The thread.")
]
