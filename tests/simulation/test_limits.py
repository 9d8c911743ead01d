"""Members at the same time, of which a limit holds one back, in virtual time."""

from typing import Any

from tests.simulation.world import run_virtually
from tests.support.runs import TENANT, Cluster

from teamrun.core.refs import RunRef
from teamrun.runs.log.entries import Entry, Step
from teamrun.testing import ScriptedModel

MEMBERS = [{"type": "assistant_agent", "name": name, "model": "m"} for name in "ab"]


async def log_of(team: dict[str, Any], script: dict[str, list[Any]], **limits: int) -> list[Entry]:
    """The log of a run that one worker executes."""
    team = {"participants": MEMBERS, **team}
    cluster = Cluster({}, team=team, model=ScriptedModel(script, latency=10))
    ref: RunRef = await cluster.submit(limits=limits)
    await cluster.worker().execute(ref)
    await cluster.service.get(TENANT, ref.run_id)
    entries = await cluster.entries(ref)
    await cluster.close()
    return entries


def test_events_behind_a_limit_cost_no_entry_while_another_call_is_under_way() -> None:
    script = {"a": ["slow"], "b": ["never"]}
    entries = run_virtually(log_of({"type": "concurrent"}, script, max_model_calls=1))

    steps = [entry for entry in entries if isinstance(entry.body, Step)]
    assert all(entry.events for entry in steps)


def test_what_a_winner_says_is_told_though_a_limit_holds_the_others_back() -> None:
    script = {"a": ["quick"], "b": ["never"]}
    entries = run_virtually(log_of({"type": "competitive"}, script, max_model_calls=1))

    events = [event for entry in entries for event in entry.events]
    said = [event.data["message"]["content"] for event in events if event.type == "message.created"]
    assert said == ["go", "quick"]
    assert [e.agent for e in events if e.type == "turn.completed"] == ["a", "b"]
    assert events[-1].type == "run.completed"
