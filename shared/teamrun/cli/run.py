"""`teamrun run`: a team in this process, without any service."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from teamrun.cli.given import checked, in_file, named_team, task_text
from teamrun.cli.in_process import RunHere, failures_shown_here, run_here
from teamrun.cli.limits import MaxCostOption, TimeoutOption, limits
from teamrun.cli.options import ConfigOption, JsonOption
from teamrun.cli.output_schema import OutputSchemaOption, schema_in
from teamrun.cli.overrides import MaxTurnsOption, ModelOption, overrides
from teamrun.cli.questions import Attendant
from teamrun.cli.screen import print_json, talk, warn
from teamrun.cli.show import EventView, view_on_stdout
from teamrun.cli.terminal import ReadLine, at_terminal
from teamrun.client.building import given
from teamrun.client.calls.run_options import team_of
from teamrun.components.building.teams import build_team
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.core.main_loop import run_main
from teamrun.errors import DefinitionError
from teamrun.runs.service.requests import RunRequest
from teamrun.runs.service.resources import Run
from teamrun.settings import CommonSettings, load_settings

__all__ = ["EXAMPLE", "command"]

EXAMPLE = 'teamrun run analysts "Which region sold most?"'


def command(
    team: Annotated[
        str,
        typer.Argument(
            envvar="TEAMRUN_TEAM", help="A team of the file, or a .json file with a definition."
        ),
    ],
    task: Annotated[str, typer.Argument(help="The task; `-` reads it from stdin.")],
    yes: Annotated[
        bool,
        typer.Option(
            "--yes/--no-yes",
            "-y",
            envvar="TEAMRUN_YES",
            help="Approve every tool call that needs approval, without asking.",
        ),
    ] = False,
    config: ConfigOption = None,
    model: ModelOption = None,
    max_turns: MaxTurnsOption = None,
    max_cost_usd: MaxCostOption = None,
    timeout_seconds: TimeoutOption = None,
    output_schema: OutputSchemaOption = None,
    json_: JsonOption = False,
) -> None:
    """Run a team in this process and show its events; nothing is kept.

    The status is 1 if the run does not complete. You are asked questions, and to approve tool
    calls, at the terminal. Without a terminal, a run with a question stops with status 2.
    """
    settings = load_settings(CommonSettings, config=config)
    body = {
        **team_of(named_team(team)),
        "input": task_text(task),
        **given(
            overrides=overrides(model=model, max_turns=max_turns),
            limits=limits(max_cost_usd=max_cost_usd, timeout_seconds=timeout_seconds),
            output_schema=schema_in(output_schema),
        ),
    }
    view = None if json_ else view_on_stdout()
    person = _Person(at_terminal(), yes)
    try:
        request = checked(RunRequest, body)
        with failures_shown_here():
            run = run_main(_run(settings.config, request, person, view))
    except DefinitionError as error:
        in_schema = in_file(error, str(output_schema), root="/output_schema")
        raise in_file(in_schema, team) from error
    if view is not None:
        view.summary(run)
    if run.status != "completed":
        sys.exit(1)


class _Person(NamedTuple):
    """The source of answers to the run's questions."""

    read_line: ReadLine | None
    approves: bool


async def _run(config: Path, request: RunRequest, person: _Person, view: EventView | None) -> Run:
    registry = load_registry(config, environ=os.environ, imports=True)
    try:
        _check_team(registry, request)

        async def attend(here: RunHere) -> Run:
            attendant = Attendant(here, read_line=person.read_line, approves=person.approves)
            await _follow(here, attendant, view)
            return await here.run()

        return await run_here(registry, request, attend)
    finally:
        await registry.close()


def _check_team(registry: Registry, request: RunRequest) -> None:
    """Refuse here what could not be built, before anything has begun."""
    changes = request.overrides
    resolved = registry.resolve(team=request.team, team_spec=request.team_spec, model=changes.model)
    if changes.model or changes.max_turns:
        resolved = registry.overridden(
            resolved.name, resolved.definition, model=changes.model, max_turns=changes.max_turns
        )
    for use in registry.model_uses(resolved.definition):
        if use.is_scripted_fallback:
            warn(use.note)
    registry.preload(resolved)
    build_team(resolved.definition, registry)


async def _follow(here: RunHere, attendant: Attendant, view: EventView | None) -> None:
    async for item in here.follow():
        if view is None:
            print_json(item.model_dump_json())
        else:
            view.take(item)
        if item.type == "run.input_required":
            if view is None:
                talk(item.data["prompt"])
            await asyncio.to_thread(attendant.attend, item.data["id"])
