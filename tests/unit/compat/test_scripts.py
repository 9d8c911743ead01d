"""Whole scripts, as users of AutoGen write them, print on Teamrun what they print on AutoGen.

The files of output beside the scripts were written by AutoGen 0.7.5; `tests/interop` runs the
scripts there and compares.
"""

import asyncio
import runpy
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.model_replies import Plan, Reply, ToolCall
from tests.support.model_server import ModelServer

import teamrun.compat.autogen as compat
from teamrun.compat.autogen.table import packages

FOLDER = Path(__file__).with_name("scripts")


def said(*texts: str) -> list[Reply]:
    return [Reply(content=text) for text in texts]


def calls(name: str, **arguments: Any) -> Reply:
    return Reply(tool_calls=[ToolCall(name=name, arguments=arguments, id=f"call_{name}")])


REPLIES = {
    "quickstart": [calls("get_weather", city="Oslo"), *said("It is 21 degrees in Oslo.")],
    "actors": [],
    "patterns": [],
    "replays": said("Hello."),
    "teams": [
        *said("A poem.", "Better. APPROVE"),  # round robin
        *said("More.", "Still more."),  # the same team, continued
        *said("planner", "The plan.", "The text."),  # a selector: one choice, one candidate
        calls("transfer_to_refunds"),
        calls("transfer_to_triage"),
        calls("transfer_to_user"),
        *said("Refunded.", "And", "so", "on", "."),
    ],
}
"""What the model answers to each script."""


def expected(name: str) -> str:
    """What AutoGen prints."""
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def forget_modules() -> Iterator[None]:
    compat.install()
    yield
    for name in set(sys.modules) & packages():
        del sys.modules[name]


def run(name: str) -> None:
    with warnings.catch_warnings():
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")


@pytest.mark.behaviour("import.modules")
@pytest.mark.parametrize("name", REPLIES)
async def test_a_script_prints_what_it_prints_on_autogen(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(queue=list(REPLIES[name]))
    async with ModelServer(plan) as server:
        monkeypatch.setenv("MODEL_URL", server.base_url)
        await asyncio.to_thread(run, name)  # a script has an event loop of its own

    assert capsys.readouterr().out == expected(name)
    assert plan.queue == []
