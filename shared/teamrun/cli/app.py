"""The table of commands."""

from typing import Annotated

import typer

from teamrun.cli import (
    answer,
    api,
    cancel,
    check,
    delete,
    files,
    fork,
    pause,
    replay,
    result,
    resume,
    retry,
    run,
    runs,
    say,
    screen,
    serve,
    submit,
    teams,
    version,
    watch,
    worker,
)
from teamrun.version import VERSION

__all__ = ["COMMANDS", "app"]

COMMANDS = {
    "serve": serve,
    "api": api,
    "worker": worker,
    "run": run,
    "check": check,
    "submit": submit,
    "watch": watch,
    "runs": runs,
    "result": result,
    "files": files,
    "answer": answer,
    "say": say,
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
    "delete": delete,
    "retry": retry,
    "fork": fork,
    "replay": replay,
    "teams": teams,
    "version": version,
}

app = typer.Typer(
    name="teamrun",
    help="Teams of LLM agents as durable jobs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        screen.result(VERSION)
        raise typer.Exit


@app.callback()
def _root(  # pyright: ignore[reportUnusedFunction] - typer calls it
    version_: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_version,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    pass


for _name, _module in COMMANDS.items():
    app.command(_name, epilog=f"Example: {_module.EXAMPLE}")(_module.command)
