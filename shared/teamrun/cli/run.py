"""`teamrun run`: a team in this process, without any service."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from teamrun.cli.options import ConfigOption
from teamrun.cli.screen import warn
from teamrun.components.build import build_team
from teamrun.components.config import load_registry
from teamrun.console import Console
from teamrun.settings import CommonSettings, load_settings

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun run analysts "Which region sold most?"'


def command(
    team: Annotated[str, typer.Argument(envvar="TEAMRUN_TEAM", help="A team of the file.")],
    task: Annotated[str, typer.Argument(help="The task; `-` reads it from stdin.")],
    config: ConfigOption = None,
) -> None:
    """Run a team here and now, and show what it says; nothing is kept. Status 1 where it failed."""
    settings = load_settings(CommonSettings, config=config)
    text = typer.get_text_stream("stdin").read() if task == "-" else task
    asyncio.run(_run(settings.config, team, text))


async def _run(config: Path, team: str, task: str) -> None:
    registry = load_registry(config, environ=os.environ)
    try:
        definition = registry.resolve(team=team).definition
        for use in registry.model_uses(definition):
            if use.is_scripted_fallback:
                warn(use.note)
        await Console(build_team(definition, registry).run_stream(task=task))
    finally:
        await registry.close()
