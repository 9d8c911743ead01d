"""`teamrun runs`: the submitted runs, or one run."""

from datetime import datetime
from typing import Annotated, cast

import typer

from teamrun.cli.options import ApiKeyOption, JsonOption, UrlOption
from teamrun.cli.screen import print_json, print_table, result
from teamrun.cli.server import DEFAULT_URL, connect
from teamrun.client.calls import runs as calls
from teamrun.runs.log.status import RunStatus
from teamrun.runs.service.resources import Run

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun runs --status completed --limit 5"


def command(
    run_id: Annotated[
        str | None,
        typer.Argument(envvar="TEAMRUN_RUN_ID", help="Only this run, in detail."),
    ] = None,
    status: Annotated[
        str | None,
        typer.Option("--status", envvar="TEAMRUN_STATUS", help="queued, running, completed ..."),
    ] = None,
    team: Annotated[
        str | None, typer.Option("--team", envvar="TEAMRUN_TEAM", help="Only runs of this team.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", envvar="TEAMRUN_TAG", help="Only runs with this tag.")
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", envvar="TEAMRUN_LIMIT", min=1, max=100, help="Maximum number of runs."
        ),
    ] = 20,
    ids: Annotated[
        bool, typer.Option("--ids/--no-ids", envvar="TEAMRUN_IDS", help="Print only ids.")
    ] = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    json_: JsonOption = False,
) -> None:
    """List runs, newest first."""
    with connect(url, api_key) as client:
        if run_id is not None:
            print_json(client.reply(calls.get_run(run_id)).text)
            return
        # The server knows the statuses and refuses others.
        wanted = cast("RunStatus | None", status)
        call = calls.list_runs(status=wanted, team=team, tag=tag, limit=limit).first
        reply = client.reply(call)
    if json_:
        print_json(reply.text)
        return
    page = call.value(reply)
    if ids:
        for run in page.data:
            result(run.id)
        return
    print_table(("id", "status", "team", "created", "task"), [_row(run) for run in page.data])


def _row(run: Run) -> tuple[str, ...]:
    task = run.input if isinstance(run.input, str) else run.input.messages[0].content
    return (run.id, run.status, run.team.name, _local(run.created_at), " ".join(task.split())[:60])


def _local(time: datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
