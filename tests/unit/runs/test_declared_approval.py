"""`approval` of an agent or a team as a tool that a definition declares: a person is asked."""

from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.runs.service.requests import Answer
from teamrun.testing import ScriptedModel

HELPER = {"name": "helper", "model": "h"}
DESK = {
    "type": "round_robin_group_chat",
    "name": "helper",
    "participants": [HELPER],
    "max_turns": 1,
}
CALL = {"tool_calls": [{"name": "helper", "arguments": {"task": "Help"}}]}


@pytest.mark.parametrize("tool", [{"agent": HELPER}, {"team": DESK}], ids=["agent", "team"])
@pytest.mark.parametrize(("decision", "calls"), [("approve", 1), ("reject", 0)])
async def test_a_person_decides_on_each_call(tool: Any, decision: Any, calls: int) -> None:
    helper = ScriptedModel(["Done."], record=True)
    lead = ScriptedModel({"a": [CALL, "DONE"]})
    team = solo(reflect_on_tool_use=True)
    team["participants"][0]["tools"] = [{**tool, "approval": True}]
    registry = Registry.of(teams={"team": team}, models={"m": lead, "h": helper})
    cluster = Cluster({}, team=team, registry=registry)
    ref = await cluster.submit()
    await cluster.queue.deliver(cluster.worker("w1").execute)

    asked = await cluster.service.get(TENANT, ref.run_id)
    assert (asked.status, helper.calls) == ("input_required", [])
    [action] = asked.required_actions
    assert (action.type, action.agent) == ("approval", "a")
    answer = Answer(action_id=action.id, decision=decision)
    await cluster.service.answer(TENANT, ref.run_id, answer)
    await cluster.queue.deliver(cluster.worker("w2").execute)  # it executes from the beginning
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "completed"
    assert len(helper.calls) == calls
