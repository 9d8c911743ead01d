"""`teamrun check`: what is wrong with the definition file, before anything runs."""

import os

from teamrun.cli.options import ConfigOption
from teamrun.cli.screen import result, warn
from teamrun.components.building.teams import build_team
from teamrun.components.reading.problems import Problem, pointer
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.settings import CommonSettings, load_settings

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun check"


def command(config: ConfigOption = None) -> None:
    """Check the definition file, its tools and its teams; print every fault with its place.

    The status is 2 if there is a fault. No model is called.
    """
    settings = load_settings(CommonSettings, config=config)
    registry = load_registry(settings.config, environ=os.environ, imports=True)
    registry.preload()
    uses = {use.profile: use for team in registry.teams() for use in team.models}
    for use in uses.values():
        if use.missing is not None or use.is_scripted_fallback:
            warn(use.note)
    registry.refuse([fault for t in registry.teams() if (fault := _fault(registry, t.name))])
    teams = ", ".join(team.name for team in registry.teams()) or "none"
    result(f"{settings.config} is valid. Teams: {teams}")


def _fault(registry: Registry, team: str) -> Problem | None:
    """Why a team cannot be built; models whose key is not set are warnings."""
    resolved = registry.resolve(team=team)
    if any(use.missing is not None for use in registry.model_uses(resolved.definition)):
        return None
    try:
        build_team(resolved.definition, registry)
    except Exception as error:
        return Problem(pointer("/teams", team), "invalid_definition", str(error))
    return None
