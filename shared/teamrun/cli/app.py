"""The table of commands."""

import typer

from teamrun.cli import (
    answer,
    api,
    cancel,
    fork,
    pause,
    replay,
    resume,
    retry,
    run,
    runs,
    say,
    serve,
    submit,
    teams,
    version,
    watch,
    worker,
)

__all__ = ["COMMANDS", "app"]

COMMANDS = {
    "serve": serve,
    "api": api,
    "worker": worker,
    "run": run,
    "submit": submit,
    "watch": watch,
    "runs": runs,
    "answer": answer,
    "say": say,
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
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
for _name, _module in COMMANDS.items():
    app.command(_name, epilog=f"Example: {_module.EXAMPLE}")(_module.command)
