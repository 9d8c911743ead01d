"""`teamrun replay`: an ended run, driven once more against its record."""

import os
from typing import Annotated

import typer

from teamrun.cli.options import ConfigOption, DataDirOption, StoreUrlOption
from teamrun.components.team_file import load_registry
from teamrun.core.clock import SystemClock
from teamrun.core.main_loop import run_main
from teamrun.core.refs import RunRef
from teamrun.errors import RunNotFound, UsageError
from teamrun.runs.durable.team import run_team
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.replay import replay
from teamrun.runs.log.entries import Accepted, End
from teamrun.runs.log.log import RunLog
from teamrun.settings import CommonSettings, load_settings
from teamrun.storage.address import read_store_url
from teamrun.storage.open import open_store

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun replay "$(teamrun runs --status completed --limit 1 --ids)"'


def command(
    run_id: Annotated[str, typer.Argument(envvar="TEAMRUN_RUN_ID", help="A run that has ended.")],
    tenant: Annotated[str, typer.Option(envvar="TEAMRUN_TENANT", help="Whose run.")] = "default",
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    store_url: StoreUrlOption = None,
) -> None:
    """Drive an ended run against its record, calling nothing. Status 1 where it differs."""
    settings = load_settings(CommonSettings, config=config, data_dir=data_dir, store_url=store_url)
    folder = read_store_url(settings.store_url).folder
    if folder is not None and not folder.is_dir():
        raise UsageError(
            f"There is no folder {str(folder)!r}; name that of the service with --data-dir or"
            " --store-url."
        )
    if not run_id.replace("_", "").isalnum():
        raise RunNotFound(f"There is no run {run_id!r}.", run_id=run_id)
    difference = run_main(_replay(settings, RunRef(tenant, run_id)))
    typer.echo(difference or "The code says and does what the record holds.")
    raise typer.Exit(0 if difference is None else 1)


async def _replay(settings: CommonSettings, ref: RunRef) -> str | None:
    registry = load_registry(settings.config, environ=os.environ)
    store, clock = open_store(settings.store_url), SystemClock()
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
