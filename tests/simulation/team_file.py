"""The operator's file of a simulated deployment."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.simulation.canaries import API_KEY

from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry

__all__ = ["registry"]

_TEAM_FILE = """
models:
  m: {type: openai, model: gpt-4o, api_key: "${KEY}"}
teams:
  t:
    type: round_robin_group_chat
    participants: [{type: assistant_agent, name: a, model: m}]
"""


@cache
def registry() -> Registry:
    """One team; the input of a run determines its program."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "teamrun.yaml"
        path.write_text(_TEAM_FILE, encoding="utf-8")
        return load_registry(path, environ={"KEY": API_KEY})
