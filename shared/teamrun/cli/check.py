"""`teamrun check`: validate the definition file before anything runs."""

import json
import os

from teamrun.cli.options import ConfigOption, JsonOption
from teamrun.cli.screen import print_json, result, warn
from teamrun.components.building.teams import build_team
from teamrun.components.reading.problems import Problem, Problems, pointer
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.errors import DefinitionError
from teamrun.settings import CommonSettings, load_settings

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "teamrun check"


def command(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Validate the definition file, its tools and its teams; print every error and its location.

    The status is 2 if there is an error. No model is called.
    """
    settings = load_settings(CommonSettings, config=config)
    registry = load_registry(settings.config, environ=os.environ, imports=True)
    registry.preload()
    for note in registry.warnings:
        warn(note)
    uses = {use.profile: use for team in registry.teams() for use in team.models}
    for use in uses.values():
        if use.missing is not None or use.is_scripted_fallback:
            warn(use.note)
    for text in dict.fromkeys(
        text for team in registry.registered() for text in registry.doubts(team.definition)
    ):
        warn(text)
    problems = Problems()
    faulty = _check_models(registry, problems)
    for team in registry.teams():
        _check_team(registry, team.name, faulty, problems)
    registry.refuse(problems.found)
    teams = [team.name for team in registry.teams()]
    if json_:
        print_json(json.dumps({"valid": True, "file": str(settings.config), "teams": teams}))
    else:
        result(f"{settings.config} is valid. Teams: {', '.join(teams) or 'none'}")


def _check_models(registry: Registry, problems: Problems) -> set[str]:
    """Note each profile of which no client can be made, once, at the profile; their names."""
    faulty: set[str] = set()
    for profile in registry.profiles():
        try:
            if registry.model_use(profile).missing is None:
                registry.model_client(profile)
        except DefinitionError as error:
            faulty.add(profile)
            problem = Problem.of(error)
            if problem not in problems.found:  # a fallback is met by its own name, too
                problems.found.append(problem)
        except Exception as error:
            faulty.add(profile)
            problems.add(pointer("/models", profile), "invalid_definition", str(error))
    return faulty


def _check_team(registry: Registry, team: str, faulty: set[str], problems: Problems) -> None:
    """Note why a team cannot be built; models whose key is not set are warnings."""
    resolved = registry.resolve(team=team)
    uses = registry.model_uses(resolved.definition)
    if any(use.missing is not None or use.profile in faulty for use in uses):
        return
    try:
        build_team(resolved.definition, registry)
    except Exception as error:
        problems.add(pointer("/teams", team), "invalid_definition", str(error))
