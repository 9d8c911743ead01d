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
    mcp,
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
    version,
    watch,
    worker,
)
from teamrun.cli.batch import cancel as batch_cancel
from teamrun.cli.batch import delete as batch_delete
from teamrun.cli.batch import errors as batch_errors
from teamrun.cli.batch import items as batch_items
from teamrun.cli.batch import list as batch_list
from teamrun.cli.batch import pause as batch_pause
from teamrun.cli.batch import results as batch_results
from teamrun.cli.batch import resume as batch_resume
from teamrun.cli.batch import retry_failed as batch_retry_failed
from teamrun.cli.batch import status as batch_status
from teamrun.cli.batch import submit as batch_submit
from teamrun.cli.batch import watch as batch_watch
from teamrun.cli.command import Command
from teamrun.cli.groups import CommandGroup, group_app
from teamrun.cli.teams import alias as teams_alias
from teamrun.cli.teams import delete as teams_delete
from teamrun.cli.teams import diff as teams_diff
from teamrun.cli.teams import graph as teams_graph
from teamrun.cli.teams import list as teams_list
from teamrun.cli.teams import push as teams_push
from teamrun.cli.teams import show as teams_show
from teamrun.cli.teams import versions as teams_versions
from teamrun.cli.threads import create as threads_create
from teamrun.cli.threads import delete as threads_delete
from teamrun.cli.threads import list as threads_list
from teamrun.cli.threads import messages as threads_messages
from teamrun.cli.threads import show as threads_show
from teamrun.cli.webhooks import create as webhooks_create
from teamrun.cli.webhooks import delete as webhooks_delete
from teamrun.cli.webhooks import list as webhooks_list
from teamrun.cli.webhooks import listen as webhooks_listen
from teamrun.cli.webhooks import trigger as webhooks_trigger
from teamrun.version import VERSION

__all__ = ["COMMANDS", "GROUPS", "app"]

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
    "mcp": mcp,
    "version": version,
    "threads create": threads_create,
    "threads list": threads_list,
    "threads show": threads_show,
    "threads messages": threads_messages,
    "threads delete": threads_delete,
    "teams list": teams_list,
    "teams push": teams_push,
    "teams show": teams_show,
    "teams versions": teams_versions,
    "teams diff": teams_diff,
    "teams graph": teams_graph,
    "teams alias": teams_alias,
    "teams delete": teams_delete,
    "batch submit": batch_submit,
    "batch watch": batch_watch,
    "batch list": batch_list,
    "batch status": batch_status,
    "batch items": batch_items,
    "batch results": batch_results,
    "batch errors": batch_errors,
    "batch retry-failed": batch_retry_failed,
    "batch delete": batch_delete,
    "batch pause": batch_pause,
    "batch resume": batch_resume,
    "batch cancel": batch_cancel,
    "webhooks create": webhooks_create,
    "webhooks list": webhooks_list,
    "webhooks trigger": webhooks_trigger,
    "webhooks listen": webhooks_listen,
    "webhooks delete": webhooks_delete,
}

GROUPS = {
    "threads": CommandGroup("Conversations that runs continue."),
    "teams": CommandGroup(
        "Registered teams, their versions and aliases.", default="list", is_bare=True
    ),
    "batch": CommandGroup("Many runs of a team as one object.", default="submit"),
    "webhooks": CommandGroup("Registered webhooks, and events for a receiver of your own."),
}
"""The first words of commands of two words."""

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
def _root(
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


_groups = {_name: group_app(_group) for _name, _group in GROUPS.items()}
for _name, _module in COMMANDS.items():
    _first, _, _second = _name.rpartition(" ")
    _home = _groups[_first] if _first else app
    _home.command(_second, cls=Command, epilog=f"Example: {_module.EXAMPLE}")(_module.command)
for _name, _group in _groups.items():
    app.add_typer(_group, name=_name)
