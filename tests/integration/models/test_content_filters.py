"""Content filters of Azure in runs: what fails, what is told, and that a replay knows it too."""

import json
from typing import Any

import pytest
from tests.contract.models.wires import chunk, completion, sse
from tests.contract.models.wires_azure import CITED, JAILBREAK, QUOTE, blocked, results
from tests.support.model_replies import Plan, Reply
from tests.support.model_server import ModelServer
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.models import AzureOpenAIChatCompletionClient
from teamrun.runs.service.resources import Run

pytestmark = pytest.mark.integration


async def executed(reply: Reply, **agent: Any) -> tuple[Run, list[Any], str, int]:
    """The run, its events, everything that is stored, and the number of calls of the model."""
    async with ModelServer(Plan(default=reply)) as server:
        model = AzureOpenAIChatCompletionClient("gpt-4o", endpoint=server.address, api_key="k")
        team = solo(**agent)
        cluster = Cluster({}, team=team)
        registry = Registry.of(teams={"team": team}, models={"m": model})
        worker = cluster.worker(registry=registry)
        try:
            ref = await cluster.submit()
            await worker.execute(ref)
            run = await cluster.service.get(TENANT, ref.run_id)
            entries = await cluster.entries(ref)
        finally:
            await worker.close()
            await model.close()
        events = [event for entry in entries for event in entry.events]
        store = cluster.store
    stored = b"".join([await store.get(key) for key in await store.list("")]).decode()
    return run, events, stored, server.calls


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_blocked_prompt_fails_the_run_with_the_categories(streamed: bool) -> None:
    found = results("violence", **JAILBREAK, **CITED)
    reply = Reply(status=400, body=json.dumps(blocked(content_filter_result=found)))
    run, events, stored, calls = await executed(reply, model_client_stream=streamed)
    assert run.status == "failed"
    assert run.error is not None
    assert "violence, jailbreak, protected_material_code" in run.error.message
    [failed] = [event for event in events if event.type == "model.call.failed"]
    assert "violence, jailbreak" in failed.data["error"]["message"]
    assert calls == 1
    assert QUOTE not in stored
    assert "medium" not in stored


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_filtered_answer_is_told_in_the_event_of_its_call(streamed: bool) -> None:
    found = {"content_filter_results": results("hate", **CITED)}
    last = chunk(finish="content_filter")
    last["choices"][0] |= found
    body = sse(chunk({"content": "so it is DONE"}), last)
    if not streamed:
        body = completion({"content": "so it is DONE"}, finish="content_filter")
        body = body.replace('"index": 0', f'"index": 0, {json.dumps(found)[1:-1]}', 1)
    kind = "text/event-stream" if streamed else "application/json"
    reply = Reply(body=body, media_type=kind)
    run, events, stored, calls = await executed(reply, model_client_stream=streamed)
    assert run.status == "completed"
    [completed] = [event for event in events if event.type == "model.call.completed"]
    assert completed.data["finish_reason"] == "content_filter"
    assert completed.data["filtered"][0] == "hate"
    assert calls == 1
    assert QUOTE not in stored
