"""An API that starts while its Redis loads its data set: alive, not ready, and then ready."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from tests.integration.api.test_served import SUBMIT
from tests.support.api_server import api_server
from tests.support.loading_redis import LoadingRedis
from tests.support.services import valkey

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


async def test_the_api_is_not_ready_while_redis_loads_and_ready_afterwards(tmp_path: Path) -> None:
    with valkey() as server:
        async with LoadingRedis(server) as loading, httpx2.AsyncClient(timeout=30) as client:
            with ExitStack() as stack:
                start = api_server(tmp_path, settings={"redis_url": loading.url})
                api = await asyncio.to_thread(stack.enter_context, start)
                answer = await client.get(f"{api.url}/readyz")
                problem = answer.json()
                assert (answer.status_code, problem["code"]) == (503, "not_ready")
                assert "redis" in {fault["code"] for fault in problem["errors"]}
                assert (await client.get(f"{api.url}/healthz")).status_code == 200
                submitted = await client.post(f"{api.url}/v1/runs", json=SUBMIT)
                assert submitted.status_code == 202
                assert (await client.get(f"{api.url}/v1/runs")).status_code == 200
                assert loading.refused
                loading.loaded()

                async def is_ready() -> bool:
                    return (await client.get(f"{api.url}/readyz")).status_code == 200

                while not await is_ready():  # each look is a request, and the test has a time limit
                    pass
                run = await client.get(api.url + submitted.json()["urls"]["self"])
                assert run.status_code == 200
                assert api.process.poll() is None
