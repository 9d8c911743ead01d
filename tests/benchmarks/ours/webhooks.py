"""Deliveries of webhooks, beside a bare loop of the same requests; the receiver is elsewhere."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx2
from tests.benchmarks.meter import Meter, measured

from teamrun.core.clock import SystemClock
from teamrun.core.ids import new_id
from teamrun.core.refs import RunRef
from teamrun.json_types import JsonObject
from teamrun.live.memory import MemoryLive
from teamrun.net.destinations import Destinations
from teamrun.runs.log.webhook import RunWebhook
from teamrun.storage.memory import MemoryStore
from teamrun.webhooks.jobs import Job
from teamrun.webhooks.parts import compose_webhooks
from teamrun.webhooks.request import request_of
from teamrun.webhooks.secret import new_secret
from teamrun.webhooks.sender import GuardedSender
from teamrun.webhooks.sources import Logged
from teamrun.webhooks.target import OWN, Target
from teamrun.webhooks.targets import Wish

_TENANT = "default"
_AT_ONCE = 10
"""Requests in progress; the limit per host of a deliverer."""


async def bare(*, deliveries: int) -> dict[str, float]:
    """POST requests of the same bytes with httpx2 alone."""
    with _receiving() as port:
        target, event = _target(port), _event(1)
        request = request_of(event, target, at=datetime.now(UTC))
        async with httpx2.AsyncClient(trust_env=False) as client:

            async def post(_: int) -> None:
                answer = await client.post(
                    target.url, content=request.body, headers=request.headers
                )
                assert answer.status_code == 204

            return await _timed(post, deliveries)


async def signed(*, deliveries: int) -> dict[str, float]:
    """The same with the signature and the guard of destinations."""
    with _receiving() as port:
        sender = GuardedSender(_destinations(port), clock=SystemClock())
        target = _target(port)

        async def send(n: int) -> None:
            sent = await sender.send(_event(n), target)
            assert sent.made.error is None

        figures = await _timed(send, deliveries)
        await sender.close()
    return figures


async def delivered(*, deliveries: int) -> dict[str, float]:
    """The whole: the marker before the entry, the request, and the record after it."""
    with _receiving() as port:
        store = MemoryStore()
        parts = compose_webhooks(
            store=store,
            live=MemoryLive(),
            dispatcher=None,
            delivers=True,
            destinations=_destinations(port),
            owner="bench",
            interval=timedelta(seconds=5),
            clock=SystemClock(),
        )
        webhook = RunWebhook(url=_target(port).url, events=["run.*"])
        delivery = parts.delivery
        assert delivery is not None

        async def deliver(n: int) -> None:
            ref, now = RunRef(_TENANT, new_id("run")), datetime.now(UTC)
            found = Logged(n=1, at=now, folder=f"t/{n}/hook/", webhook=webhook, events=[_event(n)])
            wish = Wish(["run.completed"], webhook)
            prepare = parts.outbox.prepare(Job(ref, 1), at=now, wish=wish, found=lambda: found)
            assert prepare is not None
            start = await prepare()
            assert start is not None
            start()
            await delivery.deliverer.drained()

        figures = await _timed(deliver, deliveries)
        assert await store.list("hooks/") == []
        await parts.shutdown(timedelta())
    return figures


async def _timed(act: Callable[[int], Awaitable[None]], count: int) -> dict[str, float]:
    await act(0)  # imports, the connection
    numbers = iter(range(1, count + 1))

    async def some() -> None:
        for n in numbers:
            await act(n)

    with Meter() as meter:
        await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
    return {"per_s": count / meter.wall_s, "cpu_us": meter.cpu_s / count * 1e6}


def _destinations(port: int) -> Destinations:
    return Destinations([f"127.0.0.1:{port}"])


def _target(port: int) -> Target:
    url = f"http://127.0.0.1:{port}/hook"
    return Target(tenant=_TENANT, id=OWN, url=url, events=["*"], secrets=[new_secret()])


def _event(n: int) -> JsonObject:
    return {
        "id": f"run_{n:032x}-9",
        "seq": 9,
        "type": "run.completed",
        "time": "2026-03-31T08:00:04.100000Z",
        "run_id": f"run_{n:032x}",
        "agent": None,
        "data": {"stop_code": "text_mention", "output": {"text": "word " * 40, "json": None}},
    }


@contextmanager
def _receiving() -> Generator[int]:
    command = [sys.executable, "-m", "tests.benchmarks.ours.receiver"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        yield int(process.stdout.readline())
        process.stdin.close()


if __name__ == "__main__":
    measured({"bare": bare, "signed": signed, "delivered": delivered})
