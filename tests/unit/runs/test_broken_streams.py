"""Streams of a model that break off in a run: the number of retries."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.models.openai import OpenAIChatCompletionClient
from teamrun.models.retry import RetryPolicy

FIRST = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'


@pytest.mark.parametrize("max_retries", [0, 1, 3])
async def test_all_requests_of_a_call_count_as_its_attempts(max_retries: int) -> None:
    requests: list[httpx2.Request] = []

    async def broken() -> AsyncIterator[bytes]:
        yield FIRST
        raise httpx2.ReadError("reset")

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        if len(requests) == 1:
            headers = {"content-type": "text/event-stream"}
            return httpx2.Response(200, headers=headers, content=broken())
        return httpx2.Response(503, json={"error": {"message": "busy"}})

    no_wait = timedelta()
    model = OpenAIChatCompletionClient(
        "gpt-4o",
        api_key="k",
        base_url="http://127.0.0.1:9/v1",
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)),
        retry=RetryPolicy(max_retries=max_retries, first_delay=no_wait, max_delay=no_wait),
    )
    team = solo(model_client_stream=True)
    registry = Registry.of(teams={"team": team}, models={"m": model})
    cluster = Cluster({}, team=team, registry=registry)
    ref = await cluster.submit()
    worker = cluster.worker()
    await worker.execute(ref)
    await worker.close()

    events = [event for entry in await cluster.entries(ref) for event in entry.events]
    attempts = [e.data["attempt"] for e in events if e.type == "model.call.retried"]
    assert len(requests) == 1 + max_retries
    assert attempts == list(range(1, max_retries + 1))
    assert (await cluster.service.get(TENANT, ref.run_id)).status == "failed"
