"""Definitions of every kind have the digest, the faults and the warnings that were recorded.

A run pins the digest of its team, so it must not change with a release. After a wanted change of
what a definition means, write the new values into the line that differs.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from teamrun.agents import BaseChatAgent
from teamrun.components.definitions.kinds import AGENTS, CONDITIONS, DELEGATES, TEAMS
from teamrun.components.registry import Registry
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool

_FILE = Path(__file__).with_name("recorded_definitions.jsonl")
RECORDED = [json.loads(line) for line in _FILE.read_text(encoding="utf-8").splitlines()]


def look_up(word: str) -> str:
    """Look a word up."""
    return word


def registry() -> Registry:
    return Registry.of(
        teams={},
        models={"main": ScriptedModel([]), "gpt-4o": ScriptedModel([])},
        tools=[FunctionTool(look_up, "Look.")],
        agents={"own": BaseChatAgent},
        functions={"pick": bool},
    )


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["name"])
def test_a_definition_is_read_as_it_was_recorded(case: dict[str, Any]) -> None:
    read = registry().validate(team_spec=case["team_spec"])

    assert [[fault.pointer, fault.code] for fault in read.errors] == case["faults"]
    assert [note.pointer for note in read.warnings] == case["warnings"]
    if read.valid:
        assert registry().resolve(team_spec=case["team_spec"]).digest == case["digest"]


def test_every_kind_is_recorded_in_both_forms() -> None:
    text = "\n".join(json.dumps(case["team_spec"]) for case in RECORDED if case["digest"])
    kinds = [*AGENTS, *TEAMS, *CONDITIONS, *DELEGATES]

    missing = {kind.type for kind in kinds if f'"type": "{kind.type}"' not in text}
    assert missing - {"assistant_agent"} == set()  # the usual type of an agent
    assert [kind.autogen for kind in kinds if kind.autogen and kind.autogen not in text] == []
