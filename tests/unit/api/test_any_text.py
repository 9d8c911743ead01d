"""Text that UTF-8 cannot encode, as a client or an operator may send it."""

import json
from pathlib import Path

import pytest
from tests.support.api import World, serve, world
from tests.support.runs import TENANT, Cluster

from teamrun.components.team_file import load_registry
from teamrun.runs.service.requests import RunRequest

BODIES = {
    "input": b'{"team": "writers", "input": "half \\ud83d"}',
    "metadata": b'{"team": "writers", "input": "x", "metadata": {"k": "\\udcff"}}',
    "key": b'{"team": "writers", "input": "x", "metadata": {"\\ud83d": "v"}}',
    "bytes": b'{"team": "writers", "input": "\xff"}',
    "number": b'{"team": "writers", "input": NaN}',
    "definition": b'{"team_spec": {"type": "\\ud83d"}, "input": "x"}',
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_with_half_a_pair_is_refused_and_nothing_is_accepted(name: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            headers = {"content-type": "application/json"}
            answer = await w.client.post("/v1/runs", content=BODIES[name], headers=headers)
            assert 400 <= answer.status_code < 500
            assert answer.json()["code"]
            assert w.mailbox.refs == []

    serve(scenario())


async def _forked(w: World, said: object) -> list[str]:
    run_id = await w.ended(limits={"max_model_calls": 2})
    page = (await w.client.get(f"/v1/runs/{run_id}/events", params={"limit": 200})).json()
    body = {"after_seq": page["data"][-1]["seq"], "input": said}
    answer = await w.client.post(f"/v1/runs/{run_id}/fork", json=body)
    assert answer.status_code == 202, answer.text
    await w.execute()
    result = (await w.client.get(f"{answer.headers['location']}/result")).json()
    return [message["content"] for message in result["messages"] if message["source"] == "user"]


def test_the_input_of_a_fork_is_plain_text_or_a_message() -> None:
    async def scenario() -> None:
        async with world() as w:
            assert await _forked(w, "Go on.") == ["Go", "Go on."]
        async with world() as w:
            assert await _forked(w, {"content": "Go on."}) == ["Go", "Go on."]

    serve(scenario())


@pytest.mark.usefixtures("clusters_are_closed")
async def test_half_a_pair_in_the_operators_file_is_replaced(tmp_path: Path) -> None:
    definition = {
        "version": 1,
        "models": {"m": {"type": "scripted", "script": ["DONE"]}},
        "agents": {"a": {"model": "m", "system_message": "half \ud83d", "description": "\udcff"}},
        "teams": {"t": {"type": "round_robin_group_chat", "agents": ["a"], "max_turns": 1}},
    }
    path = tmp_path / "teamrun.yaml"
    path.write_text(json.dumps(definition), encoding="utf-8")  # JSON is YAML; escapes stay

    cluster = Cluster({}, team={}, registry=load_registry(path, environ={}))
    submitted = await cluster.service.submit(TENANT, RunRequest(team="t", input="x"))
    assert submitted.run.status == "queued"
    assert await cluster.queue.deliver(cluster.worker().execute) == 1
    run = await cluster.service.get(TENANT, submitted.run.id)
    assert run.status == "completed"
