"""A run whose model is called over HTTP: failures are reported, survived, and paid once."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.contract.models.wires import completion
from tests.support.model_replies import Plan, Reply
from tests.support.model_server import ModelServer
from tests.support.runs import TENANT, Cluster, solo

from teamrun.components.registry import Registry
from teamrun.models import OpenAIChatCompletionClient, RetryPolicy
from teamrun.runs.service.resources import Run
from teamrun.testing import FakeClock

pytestmark = pytest.mark.integration


@asynccontextmanager
async def executed(*queue: Reply, **agent: Any) -> AsyncGenerator[tuple[Run, list[Any], Any]]:
    async with ModelServer(Plan(queue=list(queue))) as server:
        model = OpenAIChatCompletionClient(
            "gpt-4o",
            api_key="k",
            base_url=server.base_url,
            retry=RetryPolicy(jitter=0),
            clock=FakeClock(),
        )
        cluster = Cluster({}, team=solo(**agent))
        registry = Registry.of(teams={"team": solo(**agent)}, models={"m": model})
        worker = cluster.worker(registry=registry)
        try:
            ref = await cluster.submit()
            await worker.execute(ref)
            run = await cluster.service.get(TENANT, ref.run_id)
            entries = await cluster.entries(ref)
            yield run, [event for entry in entries for event in entry.events], server
        finally:
            await worker.close()
            await model.close()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_limited_server_delays_the_run_and_the_retry_is_an_event(streamed: bool) -> None:
    limited = Reply(status=429, headers={"retry-after": "2"})
    answers = (limited, Reply(content="so it is DONE"))
    async with executed(*answers, model_client_stream=streamed) as (run, events, server):
        assert run.status == "completed"
        [retried] = [event for event in events if event.type == "model.call.retried"]
        assert (retried.data["attempt"], retried.data["delay_seconds"]) == (1, 2.0)
        assert retried.data["error"]["status_code"] == 429
        keys = {request["headers"]["idempotency-key"] for request in server.requests}
        assert (len(server.requests), len(keys)) == (2, 1)


async def test_a_stream_that_is_cut_after_text_does_not_fail_the_run() -> None:
    cut = Reply(content="a long answer that never comes to its end", fault="cut", after=4)
    answers = (cut, Reply(content="so it is DONE"))
    async with executed(*answers, model_client_stream=True) as (run, events, server):
        assert run.status == "completed"
        assert run.output is not None and run.output.text == "so it is DONE"
        assert [event.type for event in events].count("model.call.retried") == 1
        assert server.calls == 2


async def test_a_wrong_request_fails_the_run_with_the_servers_words() -> None:
    wrong = Reply(status=400, content="no such tool")
    async with executed(wrong, model_client_stream=True) as (run, _, server):
        assert run.status == "failed"
        assert run.error is not None and "no such tool" in run.error.message
        assert server.calls == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_error_under_status_200_that_no_wait_mends_fails_the_run_after_one_call(
    streamed: bool,
) -> None:
    broke = Reply(body='{"error": {"message": "No credits", "code": 402}}')
    async with executed(broke, model_client_stream=streamed) as (run, _, server):
        assert run.status == "failed"
        assert run.error is not None and "No credits" in run.error.message
        assert server.calls == 1


async def test_half_an_answer_that_ends_with_an_error_is_asked_for_again() -> None:
    half = Reply(body=completion({"content": "Half an"}, finish="error"))
    async with executed(half, Reply(content="so it is DONE")) as (run, events, server):
        assert run.output is not None and run.output.text == "so it is DONE"
        assert [event.type for event in events].count("model.call.retried") == 1
        assert server.calls == 2
