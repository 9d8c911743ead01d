"""A thread whose swarm has handed over to a person continues with what the person writes."""

from typing import Any

import pytest
from tests.support.runs import TENANT, Cluster

from teamrun.components.registry import Registry
from teamrun.runs.service.requests import Answer
from teamrun.testing import ScriptedModel
from teamrun.threads.requests import ThreadRequest

TEAM: dict[str, Any] = {
    "type": "swarm",
    "participants": [
        {"name": "a", "model": "m", "handoffs": [{"target": "b"}]},
        {"name": "b", "model": "m", "handoffs": [{"target": "human"}]},
    ],
    "termination": {"type": "handoff", "target": "human"},
}


def to(target: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": f"transfer_to_{target}", "arguments": {}}]}


@pytest.mark.parametrize("is_answered", [False, True], ids=["first question", "second question"])
@pytest.mark.parametrize("on_busy", ["enqueue", "interrupt"])
async def test_the_next_input_is_the_answer_to_the_agent_that_asked(
    on_busy: str, is_answered: bool
) -> None:
    asks = [to("human")] * (1 + is_answered)
    asking = ScriptedModel({"a": [to("b")], "b": asks})
    model = ScriptedModel({"a": [], "b": ["Thanks."]}, record=True)
    # The run ends with the handoff, by its limit; or it waits for the answer, and is interrupted.
    turns = 2 + is_answered + (on_busy == "interrupt")
    registry = Registry.of(
        teams={"team": {**TEAM, "max_turns": turns}}, models={"m": asking, "next": model}
    )
    cluster = Cluster({}, team=TEAM, registry=registry)
    thread = (await cluster.threads.create(TENANT, ThreadRequest())).thread
    worker = cluster.worker()
    first = await cluster.submit("Help", thread_id=thread.id)
    await cluster.queue.deliver(worker.execute)
    if is_answered:
        [action] = (await cluster.service.get(TENANT, first.run_id)).required_actions
        answer = Answer(action_id=action.id, content="Red")
        await cluster.service.answer(TENANT, first.run_id, answer)
        await cluster.queue.deliver(worker.execute)
    status = (await cluster.service.get(TENANT, first.run_id)).status
    assert status == ("input_required" if on_busy == "interrupt" else "completed")

    limits = {"max_turns": 1}
    second = await cluster.submit(
        "Blue",
        thread_id=thread.id,
        on_busy_thread=on_busy,
        overrides={"model": "next"},
        limits=limits,
    )
    await cluster.queue.deliver(worker.execute)

    result = await cluster.service.result(TENANT, second.run_id)
    said = [(each["source"], each["content"]) for each in result.messages]
    assert said[-2:] == [("human", "Blue"), ("b", "Thanks.")]
    heard = [str(message.content) for message in model.calls[-1].messages]
    assert heard[-1] == "Blue"
    assert any("human" in text for text in heard[1:-1]), "what it had asked is in its context"
