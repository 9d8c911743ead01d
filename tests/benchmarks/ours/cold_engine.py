"""The engine from a fresh process to being ready to execute a durable run, as a worker needs it."""

from pathlib import Path

from tests.benchmarks.ours.models import Speaker

from teamrun.components.registry import Registry
from teamrun.live.memory import MemoryLive
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.engine import Engine
from teamrun.storage.open import open_store
from teamrun.testing.queue import MemoryQueue

AGENTS = [{"type": "assistant_agent", "name": name, "model": "m"} for name in ("a", "b")]
TEAM = {"type": "round_robin_group_chat", "participants": AGENTS, "max_turns": 20}

FOLDER = Path(__file__).parents[3] / ".teamrun" / "peers" / "cold"

engine = Engine(
    store=open_store(FOLDER.as_uri()),
    live=MemoryLive(),
    dispatcher=MemoryQueue(),
    program=team_program(Registry.of(teams={"team": TEAM}, models={"m": Speaker()})),
    owner="bench",
)
