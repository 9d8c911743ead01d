"""A batch through real processes: upload, submit, kill what executes it, and count what is left."""

import asyncio
import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx2
from tests.support.children import Child
from tests.support.crash_points import Crash
from tests.support.deployment import TENANT, Deployment, sometime

from teamrun.json_types import JsonObject

__all__ = ["BatchLoad", "Kill", "file_of"]

Kill = str
"""`worker`, `api` or `valkey`."""


async def file_of(items: int) -> AsyncIterator[bytes]:
    """A JSONL file of so many items."""
    for start in range(0, items, 1_000):
        lines = (
            json.dumps({"custom_id": f"item-{n}", "input": f"Say polly, {n} times."})
            for n in range(start, min(start + 1_000, items))
        )
        yield "".join(f"{line}\n" for line in lines).encode()


@dataclass
class BatchLoad:
    """One batch on a deployment with workers and an API."""

    deployment: Deployment
    items: int
    max_concurrency: int = 200
    workers: int = 2
    crash: Crash | None = None
    """The point at which the first worker dies; another one then takes its place."""
    api_crash: Crash | None = None
    accepted_s: float = 0
    """How long the request took that submitted the batch."""
    seconds: float = 0
    """From the acceptance to the end."""
    kills: Counter[Kill] = field(default_factory=Counter[Kill])
    batch: JsonObject = field(default_factory=dict[str, object])
    _workers: list[Child] = field(default_factory=list[Child])
    _api: Child | None = None

    @property
    def children(self) -> dict[str, int]:
        """The process ids by what they are."""
        assert self._api is not None
        workers = {f"worker {n}": child.pid for n, child in enumerate(self._workers, 1)}
        return {"api": self._api.pid, **workers, "valkey": self.deployment.server.pid}

    async def run(
        self,
        *,
        kills: list[Kill],
        within_s: float,
        note: Callable[["BatchLoad"], None] = lambda _: None,
    ) -> None:
        """Submit the batch, kill processes as it proceeds, and wait for its end."""
        self._api = self.deployment.api(self.api_crash)
        self._workers = [
            self.deployment.worker(self.crash if first else None)
            for first in (n == 0 for n in range(self.workers))
        ]
        for worker in self._workers:
            await self.deployment.ready(worker)
        url = f"http://127.0.0.1:{self.deployment.port}"
        async with httpx2.AsyncClient(base_url=url, timeout=120, trust_env=False) as client:
            await self._submit(client)
            begun = time.monotonic()
            steps = itertools.count(1)
            due = [self.items * n // (len(kills) + 1) for n in range(1, len(kills) + 1)]
            while self.batch["status"] not in {"completed", "failed", "cancelled"}:
                assert time.monotonic() - begun < within_s, self.batch
                ended = self.batch["counts"]["completed"]
                while due and ended >= due[0]:
                    due.pop(0)
                    await self._kill(kills.pop(0))
                if next(steps) % 10 == 0:
                    note(self)
                await asyncio.sleep(0.1)
                self._replace_dead()
                await self._read(client)
            self.seconds = time.monotonic() - begun
            note(self)
            await self._check(client)

    async def _submit(self, client: httpx2.AsyncClient) -> None:
        async def answers() -> bool:
            with contextlib.suppress(httpx2.HTTPError):
                return (await client.get("/healthz")).is_success
            return False

        await sometime(answers, "the API answers")
        uploaded = await client.post("/v1/files?name=load.jsonl", content=file_of(self.items))
        body = {
            "team": "cage",
            "input_file_id": uploaded.json()["id"],
            "max_concurrency": self.max_concurrency,
        }
        begun = time.monotonic()
        self.batch = await sometime(
            partial(self._accepted, client, body), "the batch is accepted", within_s=60
        )
        self.accepted_s = time.monotonic() - begun
        assert self.batch["counts"]["total"] == self.items

    async def _accepted(self, client: httpx2.AsyncClient, body: JsonObject) -> JsonObject | None:
        """Submit as a client does: again with the same key, if there is no answer."""
        self._replace_dead()
        with contextlib.suppress(httpx2.HTTPError):
            answer = await client.post(
                "/v1/batches", json=body, headers={"Idempotency-Key": "load"}
            )
            assert answer.status_code == 202, answer.text
            return answer.json()
        return None

    async def _read(self, client: httpx2.AsyncClient) -> None:
        with contextlib.suppress(httpx2.HTTPError):
            answer = await client.get(f"/v1/batches/{self.batch['id']}")
            if answer.is_success:
                before, self.batch = self.batch, answer.json()
                assert self.batch["revision"] >= before["revision"]
                counts = dict(self.batch["counts"])
                assert counts.pop("total") == sum(counts.values()) == self.items

    def _replace_dead(self) -> None:
        """Start another worker, and another API, for each that has died at its point."""
        for worker in [each for each in self._workers if not each.is_alive]:
            self._workers.remove(worker)
            self._workers.append(self.deployment.worker())
            self.kills["worker"] += 1
        if self._api is not None and not self._api.is_alive:
            self._api = self.deployment.api()
            self.kills["api"] += 1

    async def _kill(self, what: Kill) -> None:
        self.kills[what] += 1
        if what == "valkey":
            self.deployment.server.kill()
            self.deployment.server.start()
        elif what == "api":
            assert self._api is not None
            self._api.kill()
            self._api = self.deployment.api()
        else:
            self._workers.pop(0).kill()
            self._workers.append(self.deployment.worker())

    async def settled(self) -> None:
        """Return when nothing is left to do; a worker that died at the very end is replaced."""

        async def is_settled() -> bool:
            self._replace_dead()
            return await self.deployment.store.list("batches/") == []

        await sometime(is_settled, "the marker of the batch is gone")

    async def _check(self, client: httpx2.AsyncClient) -> None:
        """Nothing is lost, and nothing is there twice."""
        assert self.batch["status"] == "completed", self.batch
        assert self.batch["counts"]["completed"] == self.items
        index, runs = 0, set[str]()
        async with client.stream("GET", f"/v1/batches/{self.batch['id']}/results") as answer:
            async for line in answer.aiter_lines():
                result = json.loads(line)
                assert (result["index"], result["custom_id"]) == (index, f"item-{index}")
                assert (result["status"], result["output"]["text"]) == ("completed", "polly")
                runs.add(result["run_id"])
                index += 1
        assert index == len(runs) == self.items
        assert _runs_in(self.deployment.folder / "store") == runs


def _runs_in(store: Path) -> set[str]:
    """The runs in a folder; each has one end, and one call on record."""
    found = set[str]()
    for log in (store / f"t/{TENANT}/runs").glob("*/*/log"):
        found.add(log.parent.name)
        entries = [json.loads(path.read_bytes()) for path in sorted(log.iterdir())]
        assert [entry["kind"] for entry in entries].count("end") == 1, log
        calls = [call for entry in entries for call in entry["body"].get("calls", ())]
        assert len(calls) == 1, log
    return found
