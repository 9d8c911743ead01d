"""The engine from a fresh process to being ready to execute a durable run, as a worker needs it."""

from pathlib import Path

from tests.benchmarks.ours.as_host import ready  # first: it turns the collector off
from tests.benchmarks.ours.models import Speaker

from teamrun.components.building.teams import build_team
from teamrun.components.registry import Registry
from teamrun.live.memory import MemoryLive
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.engine import Engine
from teamrun.storage.open import open_store
from teamrun.testing.queue import MemoryQueue

AGENTS = [{"type": "assistant_agent", "name": name, "model": "m"} for name in ("a", "b")]
TEAM = {"type": "round_robin_group_chat", "participants": AGENTS, "max_turns": 20}

FOLDER = Path(__file__).parents[3] / ".teamrun" / "peers" / "cold"

registry = Registry.of(teams={"team": TEAM}, models={"m": Speaker()})
engine = Engine(
    store=open_store(FOLDER.as_uri()),
    live=MemoryLive(),
    dispatcher=MemoryQueue(),
    program=team_program(registry),
    owner="bench",
)
# What only building a team imports.
build_team(registry.resolve(team="team").definition, registry)
ready()
