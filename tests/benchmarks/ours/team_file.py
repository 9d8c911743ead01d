"""A team file with a slow scripted model, for a separate worker process."""

import json
from pathlib import Path

from tests.benchmarks.meter import text_of

__all__ = ["write_team_file"]


def write_team_file(folder: Path, *, turns: int, delay_s: float) -> Path:
    """Two agents that speak in turn, so many times; the file to serve."""
    model = {
        "type": "scripted",
        "script": [text_of(number) for number in range(turns)],
        "latency_ms": round(delay_s * 1000),
    }
    document = {
        "version": 1,
        "models": {"m": model},
        "agents": {name: {"model": "m"} for name in ("a", "b")},
        "teams": {
            "team": {"type": "round_robin_group_chat", "agents": ["a", "b"], "max_turns": turns}
        },
    }
    path = folder / "teamrun.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")  # which is YAML, too
    return path
