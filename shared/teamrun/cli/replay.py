"""`teamrun replay`: an ended run, driven once more against its record."""

import json
import os
from typing import Annotated

import typer

from teamrun.cli.options import ConfigOption, DataDirOption, JsonOption, StoreUrlOption
from teamrun.cli.screen import print_json, result
from teamrun.components.team_file import load_registry
from teamrun.core.clock import SystemClock
from teamrun.core.main_loop import run_main
from teamrun.core.refs import RunRef, is_run_id, is_tenant
from teamrun.errors import RunNotFound, UsageError
from teamrun.runs.durable.team import run_team
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.replay import replay
from teamrun.runs.log.entries import Accepted, End
from teamrun.runs.log.log import RunLog
from teamrun.settings import CommonSettings, load_settings
from teamrun.storage.open import open_store

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun replay "$(teamrun runs --status completed --limit 1 --ids)"'


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="A run that has ended.")],
    tenant: Annotated[
        str, typer.Option(envvar="TEAMRUN_TENANT", help="The tenant of the run.")
    ] = "default",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    store_url: StoreUrlOption = None,
    json_: JsonOption = False,
) -> None:
    """Replay an ended run from its log, without calls. Status 1 if it differs."""
    if not is_run_id(run_id):
        raise RunNotFound(f"{run_id[:80]!r} is not the id of a run; `teamrun runs` lists them.")
    if not is_tenant(tenant):
        raise UsageError(f"--tenant {tenant[:80]!r} is not the name of a tenant.")
    settings = load_settings(CommonSettings, config=config, data_dir=data_dir, store_url=store_url)
    difference = run_main(_replay(settings, RunRef(tenant, run_id)))
    if json_:
        same = difference is None
        print_json(json.dumps({"run_id": run_id, "identical": same, "difference": difference}))
    else:
        result(difference or "The replay is identical to the log.")
    raise typer.Exit(0 if difference is None else 1)


async def _replay(settings: CommonSettings, ref: RunRef) -> str | None:
    registry = load_registry(settings.config, environ=os.environ)
    store, clock = open_store(settings.store_url, make=False), SystemClock()
    try:
        log = RunLog(store, ref, writer="replay", clock=clock)
        first = await log.read_next(0)

        async def program(journal: Journal) -> End:
            assert first is not None and isinstance(first.body, Accepted)
            return await run_team(journal, first.body.spec, registry)

        return await replay(log, program, clock)
    finally:
        await store.close()
        await registry.close()
