"""A script that answers only because a variable is not set is reported, or refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from teamrun.components.fallbacks import check_fallbacks
from teamrun.components.registry import Registry
from teamrun.components.team_file import load_registry
from teamrun.errors import UsageError
from teamrun.settings import load_settings
from teamrun_api.compose import open_api
from teamrun_api.settings import ApiSettings
from teamrun_worker.compose import open_worker
from teamrun_worker.health import Pulse
from teamrun_worker.settings import WorkerSettings

FILE = """\
version: 1
models:
  main: {type: openai, model: gpt-4.1-mini, api_key: "${OPENAI_API_KEY}", fallback: own}
  own: {type: openai, model: m, base_url: "${OPENAI_BASE_URL}", fallback: written}
  written: {type: scripted, script: ["Hello."]}
  demo: {type: scripted, script: ["Hello."]}
agents:
  helper: {model: main}
  player: {model: demo}
teams:
  first: {type: round_robin_group_chat, agents: [helper], max_turns: 1}
  shown: {type: round_robin_group_chat, agents: [player], max_turns: 1}
"""


def file_in(folder: Path) -> Path:
    path = folder / "teamrun.yaml"
    path.write_text(FILE, encoding="utf-8")
    return path


def registry_in(folder: Path, **environ: str) -> Registry:
    return load_registry(file_in(folder), environ=environ)


@dataclass(frozen=True)
class Case:
    id: str
    environ: dict[str, str]
    refused: bool


CASES = [
    Case("nothing is set", {}, refused=True),
    Case("the variable is misspelt", {"OPENAI_APIKEY": "k"}, refused=True),
    Case("the variable is empty", {"OPENAI_API_KEY": ""}, refused=True),
    Case("the key is set", {"OPENAI_API_KEY": "k"}, refused=False),
    Case("a real fallback answers", {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, refused=False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_fallback_on_a_script_is_refused_beyond_this_machine(case: Case, tmp_path: Path) -> None:
    registry = registry_in(tmp_path, **case.environ)

    check_fallbacks(registry, reachable_by=None, allowed=False)
    check_fallbacks(registry, reachable_by="TEAMRUN_HOST", allowed=True)
    if not case.refused:
        check_fallbacks(registry, reachable_by="TEAMRUN_HOST", allowed=False)
        return
    with pytest.raises(UsageError) as caught:
        check_fallbacks(registry, reachable_by="TEAMRUN_HOST", allowed=False)
    assert caught.value.data == {"setting": "allow_scripted", "variables": ["OPENAI_API_KEY"]}


def test_a_profile_that_is_a_script_is_shown_and_not_refused(tmp_path: Path) -> None:
    registry = registry_in(tmp_path, OPENAI_API_KEY="k")
    uses = {use.profile: use for team in registry.teams() for use in team.models}

    assert registry.scripted_fallbacks() == []
    assert (uses["demo"].scripted, uses["demo"].unset) == (True, None)
    assert (uses["main"].scripted, uses["main"].model) == (False, "gpt-4.1-mini")


def test_a_fallback_is_shown_with_the_variable_that_is_not_set(tmp_path: Path) -> None:
    registry = registry_in(tmp_path)
    (use,) = registry.scripted_fallbacks()

    assert (use.profile, use.active, use.scripted, use.unset) == (
        "main",
        "written",
        True,
        "OPENAI_API_KEY",
    )
    validated = registry.validate(team="first")
    assert validated.valid and "OPENAI_API_KEY" in validated.warnings[0].detail


def _nothing(settings: object) -> NoReturn:
    raise AssertionError("the process has gone on although it must not start")


@pytest.mark.parametrize(
    ("host", "redis_url"), [("0.0.0.0", None), ("10.0.0.7", "redis://127.0.0.1:6379")]
)
async def test_an_api_that_others_can_reach_does_not_start(
    host: str, redis_url: str | None, tmp_path: Path
) -> None:
    settings = load_settings(
        ApiSettings, host=host, redis_url=redis_url, config=file_in(tmp_path), data_dir=tmp_path
    )
    with pytest.raises(UsageError) as caught:
        async with open_api(settings, environ={}, backends=_nothing):
            raise AssertionError("it has started")
    assert caught.value.data["setting"] == "allow_scripted"


@pytest.mark.parametrize("redis_url", ["redis://redis.example:6379", "rediss://:pw@10.0.0.7/0"])
async def test_a_worker_on_a_redis_of_another_machine_does_not_start(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = load_settings(WorkerSettings, redis_url=redis_url, config=file_in(tmp_path))

    with pytest.raises(UsageError) as refused:
        async with open_worker(settings, pulse=Pulse(), backends=_nothing):
            raise AssertionError("it has started")
    assert refused.value.data["setting"] == "allow_scripted"
    assert "pw" not in str(refused.value)
