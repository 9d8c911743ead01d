"""Model servers that limit their calls: two workers, Valkey and a server that answers 429."""

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.children import Child, start_worker
from tests.support.deployment import sometime
from tests.support.figures import Figures
from tests.support.model_server import ModelServer
from tests.support.services import Valkey, valkey

from teamrun.components.team_file import load_registry
from teamrun.core.refs import RunRef
from teamrun.dispatch.celery import CeleryDispatcher
from teamrun.live.open import open_live
from teamrun.runs.log.keys import OPEN
from teamrun.runs.service.requests import RunRequest
from teamrun.runs.service.service import RunService
from teamrun.storage.address import key_prefix, store_namespace
from teamrun.storage.base import ObjectStore
from teamrun.storage.open import open_store

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

_WITHIN_S = 400
"""Far longer than it takes: what is too slow here is a busy machine, which proves nothing."""

_FILE = """\
version: 1
models:
  main: {{type: openai, model: gpt-4o, api_key: k, base_url: "{base_url}"{limits}}}
agents:
  writer: {{model: main}}
teams:
  one: {{type: round_robin_group_chat, agents: [writer], max_turns: 1}}
"""


@dataclass
class Limited:
    """Workers of one store and one Valkey, and their model server."""

    folder: Path
    server: Valkey
    model: ModelServer
    service: RunService
    store: ObjectStore
    workers: list[Child]

    @classmethod
    @asynccontextmanager
    async def of(
        cls, folder: Path, model: ModelServer, *, limits: str = "", workers: int = 2
    ) -> AsyncGenerator["Limited"]:
        """A deployment whose only profile has these options."""
        async with AsyncExitStack() as stack:
            server = stack.enter_context(valkey())
            await stack.enter_async_context(model)
            config = folder / "teamrun.yaml"
            config.write_text(
                _FILE.format(base_url=model.base_url, limits=limits), encoding="utf-8"
            )
            registry = load_registry(config, environ={})
            url = (folder / "store").as_uri()
            prefix = key_prefix(store_namespace(url))
            store, live = open_store(url), open_live(server.url, prefix=prefix)
            dispatcher = CeleryDispatcher(server.url, prefix=prefix)
            for part in (store, live, dispatcher):
                stack.push_async_callback(part.close)
            service = RunService(store=store, live=live, dispatcher=dispatcher, registry=registry)
            stack.push_async_callback(service.close)
            environ = {
                "TEAMRUN_CONFIG": str(config),
                "TEAMRUN_DATA_DIR": str(folder),
                "TEAMRUN_STORE_URL": url,
                "TEAMRUN_REDIS_URL": server.url,
                "TEAMRUN_LEASE_SECONDS": "2",
            }
            started: list[Child] = []
            for number in range(workers):
                child = start_worker(environ, folder / f"worker-{number}.log")
                stack.callback(child.kill)
                started.append(child)
            for child in started:
                await sometime(lambda child=child: "worker.ready" in child.actions(), "it is ready")
            yield cls(folder, server, model, service, store, started)

    async def submit(self, count: int) -> list[RunRef]:
        """Accept runs of one call each."""
        refs: list[RunRef] = []
        for number in range(count):
            request = RunRequest(team="one", input=f"task {number}")
            submitted = await self.service.submit("default", request)
            refs.append(RunRef("default", submitted.run.id))
        return refs

    async def settled(self, *, within_s: float) -> None:
        """Return when no run is open."""

        async def none_open() -> bool:
            return not await self.store.list(OPEN)

        await sometime(none_open, "all runs have ended", within_s=within_s, every_s=0.2)

    async def statuses(self, refs: list[RunRef]) -> dict[str, int]:
        """How many runs have each status."""
        counts: dict[str, int] = {}
        for ref in refs:
            run = await self.service.get(*ref)
            counts[run.status] = counts.get(run.status, 0) + 1
        return counts


_PAUSED = "model.paused"
TASKS, CAPACITY, LATENCY_S = 200, 4, 0.2


# Without a limit, 5 to 10 calls are rejected: at intervals, one more call at a time is tried. So
# there are more of them if all takes longer, on a busy machine.
@pytest.mark.parametrize(
    ("limits", "most_rejected"),
    [(", max_concurrent_calls: 4", 0), ("", TASKS * 0.04)],
    ids=["configured", "unknown"],
)
async def test_many_tasks_complete_on_a_server_that_takes_four_calls_at_once(
    tmp_path: Path, limits: str, most_rejected: float, figures: Figures
) -> None:
    model = ModelServer(latency_seconds=LATENCY_S, capacity=CAPACITY, retry_after="1")
    async with Limited.of(tmp_path, model, limits=limits) as deployment:
        started = time.monotonic()
        refs = await deployment.submit(TASKS)
        await deployment.settled(within_s=_WITHIN_S)
        seconds = time.monotonic() - started

        assert await deployment.statuses(refs) == {"completed": TASKS}
        assert model.calls == TASKS + model.rejected
        ideal = TASKS * LATENCY_S / CAPACITY
        assert model.rejected <= most_rejected * max(1, seconds / ideal)
        figures.add(
            f"rate limit ({limits.strip(', ') or 'not configured'}): {TASKS} tasks completed, "
            f"{model.rejected} calls rejected, {seconds:.1f} s, {seconds / ideal:.2f} x the ideal"
        )


async def test_the_places_of_a_killed_worker_are_used_by_the_other_one(
    tmp_path: Path, figures: Figures
) -> None:
    model = ModelServer(latency_seconds=0.1, capacity=CAPACITY)
    limits = ", max_concurrent_calls: 4"
    async with Limited.of(tmp_path, model, limits=limits) as deployment:
        refs = await deployment.submit(200)
        await model.until(answered=40)
        deployment.workers[0].kill()
        killed = time.monotonic()
        await deployment.settled(within_s=_WITHIN_S)
        seconds = time.monotonic() - killed

        assert await deployment.statuses(refs) == {"completed": 200}
        assert (model.rejected, model.peak) == (0, CAPACITY)
        assert 200 <= model.answered <= 200 + CAPACITY
        figures.add(f"rate limit, one of two workers killed: all completed {seconds:.1f} s later")


async def test_a_rejection_in_one_worker_pauses_the_other_one(tmp_path: Path) -> None:
    model = ModelServer(latency_seconds=0.05, capacity=1, retry_after="0.5")
    async with Limited.of(tmp_path, model) as deployment:
        refs = await deployment.submit(40)
        await deployment.settled(within_s=_WITHIN_S)

        assert await deployment.statuses(refs) == {"completed": 40}
        logs = [worker.actions() for worker in deployment.workers]
        assert [log for log in logs if "executor.run_finished" in log and _PAUSED not in log] == []
        assert any(_PAUSED in log for log in logs)
