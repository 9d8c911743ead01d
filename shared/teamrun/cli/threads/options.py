"""Arguments that several commands about threads have."""

from typing import Annotated

import typer

__all__ = ["RevisionOption", "ThreadArgument"]

ThreadArgument = Annotated[
    str, typer.Argument(metavar="THREAD_ID", envvar="TEAMRUN_THREAD", help="The thread.")
]

RevisionOption = Annotated[
    int | None,
    typer.Option(
        "--revision",
        envvar="TEAMRUN_THREAD_REVISION",
        help="Delete the thread only if this is its revision, which `threads show` prints.",
    ),
]
