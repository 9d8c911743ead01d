"""Journeys of events to receivers during which a process is killed, each with its checks.

The receiver knows only the public library. The killed process is replaced by a fresh one at once;
a client whose connection broke repeats its request.
"""

import asyncio
import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx2
from tests.support.children import Child
from tests.support.crash_points import Crash
from tests.support.deployment import TENANT, CountingModel, Deployment, deployed, sometime
from tests.support.quick_webhooks import PAUSE
from tests.support.receiver import Received, Receiver, Reply, receiving

from teamrun.core.refs import RunRef
from teamrun.json_types import JsonObject
from teamrun.runs.log.keys import HOOKS
from teamrun.runs.log.webhook import EVENT_TYPES

__all__ = ["Case", "Journey", "Outcome", "travel"]

Journey = Literal["accepted", "refused", "given_up", "gone", "redelivered", "deleted"]

_FINAL = ("delivered", "failed", "skipped")


@dataclass(frozen=True)
class Case:
    """One death."""

    journey: Journey
    process: Literal["worker", "api"]
    point: str = ""
    """Without one no process dies."""
    nth: int = 1

    @property
    def id(self) -> str:
        words = [self.journey, self.process, self.point, str(self.nth)]
        return "-".join(words).replace(" ", "_")


@dataclass
class Outcome:
    """The result of a journey."""

    case: Case
    was_killed: bool = False
    due: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """The path of the receiver and the id of each event that it had to be sent."""
    accepted: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """How often each was answered with a 2xx status."""
    refused: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    given_up: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Listed as failed."""
    forged: int = 0
    """Requests that the public library did not accept, or whose body has another id."""
    markers: int = 0
    """Markers that are left."""
    tracebacks: int = 0
    passed: set[str] = field(default_factory=set[str])
    fault: str = ""

    @property
    def missing(self) -> set[tuple[str, str]]:
        """Neither accepted nor given up."""
        return self.due - set(self.accepted) - self.given_up

    @property
    def requests(self) -> int:
        return self.accepted.total() + self.refused.total()

    @property
    def repeated(self) -> int:
        """Events that were accepted more than once."""
        return self.accepted.total() - len(self.accepted)


async def travel(case: Case, folder: Path, model: CountingModel) -> Outcome:
    """Go the whole way of a case."""
    outcome = Outcome(case)
    with receiving() as receiver:
        environ = {
            "TEAMRUN_ALLOWED_HOSTS": json.dumps([f"127.0.0.1:{receiver.port}"]),
            PAUSE: "60" if case.journey == "deleted" else "0.3",
        }
        async with deployed(folder, model=model, environ=environ) as deployment:
            traveller = _Traveller(case, deployment, receiver, outcome)
            guard = asyncio.create_task(traveller.replace_the_dead())
            try:
                await traveller.go()
            finally:
                guard.cancel()
                await asyncio.gather(guard, return_exceptions=True)
                await traveller.close()
            outcome.markers = len(await deployment.store.list(HOOKS))
            outcome.tracebacks = sum(
                child.actions().count("traceback") for child in deployment.children
            )
            outcome.passed = traveller.passed
            traveller.judge()
    return outcome


class _Traveller:
    """A client with its receiver, and the operator who replaces dead processes."""

    def __init__(
        self, case: Case, deployment: Deployment, receiver: Receiver, outcome: Outcome
    ) -> None:
        self._case = case
        self._deployment = deployment
        self._receiver = receiver
        self._outcome = outcome
        self._secrets: dict[str, str] = {}
        self._asked = Counter[str]()
        self._answers: list[tuple[Received, int]] = []
        self._is_repaired = False
        self._mortal: Child | None = None
        self._client = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{deployment.port}", trust_env=False, timeout=10
        )
        receiver.decide = self._answer

    async def close(self) -> None:
        await self._client.aclose()

    # Processes

    def _start(self, process: str) -> None:
        start = self._deployment.api if process == "api" else self._deployment.worker
        if process != self._case.process:
            start()
            return
        crash = Crash(self._case.point, self._case.nth) if self._case.point else None
        self._mortal = start(crash, noted=True)

    async def replace_the_dead(self) -> None:
        await sometime(lambda: self._has_died, "a death", within_s=3600, every_s=0.02)
        (self._deployment.api if self._case.process == "api" else self._deployment.worker)()

    @property
    def _has_died(self) -> bool:
        return self._mortal is not None and self._mortal.process.exitcode == -9

    @property
    def passed(self) -> set[str]:
        notes = self._deployment.notes
        text = notes.read_text(encoding="utf-8") if notes.exists() else ""
        return {line.split(" ", 2)[2] for line in text.splitlines()}

    # The receiver

    def _answer(self, request: Received) -> Reply:
        reply = self._reply_to(request)
        self._answers.append((request, reply.status))
        return reply

    def _reply_to(self, request: Received) -> Reply:
        name = f"{request.path} {request.id}"
        self._asked[name] += 1
        is_hook = request.path == "/hook"
        match self._case.journey:
            case "refused":
                return Reply(500 if self._asked[name] == 1 else 204)
            case "gone" if is_hook:
                return Reply(410)
            case "given_up" | "deleted" if is_hook:
                return Reply(500)
            case "redelivered" if is_hook and not self._is_repaired:
                return Reply(410)
            case _:
                return Reply()

    # The client

    async def _ask(self, method: str, path: str, body: JsonObject | None = None) -> Any:
        """A request that is repeated until there is an answer."""

        async def asked() -> Any:
            with contextlib.suppress(httpx2.HTTPError):
                headers = {"Idempotency-Key": path} if method == "POST" else {}
                answer = await self._client.request(method, path, json=body, headers=headers)
                if answer.status_code < 500:
                    assert answer.is_success or method == "DELETE", answer.text
                    return answer.json() if answer.content else {}
            return None

        return await sometime(asked, f"{method} {path} is answered")

    async def _registered(self, path: str, *events: str) -> str:
        body = {"url": f"{self._receiver.url}{path}", "events": list(events)}

        async def registered() -> Any:
            with contextlib.suppress(httpx2.HTTPError):
                headers = {"Idempotency-Key": path}
                answer = await self._client.post("/v1/webhooks", json=body, headers=headers)
                return answer.json() if answer.status_code == 201 else None
            return None

        webhook = await sometime(registered, f"{path} is registered")
        self._secrets[path] = webhook["secret"]
        return webhook["id"]

    async def go(self) -> None:
        """Submit a run whose events two webhooks are sent, and return when all is over."""
        self._start("api")
        hook = await self._registered("/hook", "run.*")
        watch = await self._registered("/watch", "webhook.disabled")
        self._start("worker")
        own = {"url": f"{self._receiver.url}/own", "events": ["run.*"]}
        run = await self._ask("POST", "/v1/runs", {"team": "cage", "input": "x", "webhook": own})
        ref = RunRef(TENANT, run["id"])
        await sometime(lambda: self._is_ended(ref), "the run ends")
        due = [
            f"{ref.run_id}-{seq}"
            for entry in await self._deployment.entries(ref)
            for seq, event in enumerate(entry.events, entry.seq)
            if event.type in EVENT_TYPES
        ]
        self._outcome.due = {(path, event) for path in ("/own", "/hook") for event in due}
        if self._case.journey == "deleted":
            await self._delete(ref, hook)
        else:
            await self._settled(ref)
        if self._case.journey == "redelivered":
            self._is_repaired = True
            await self._ask("POST", f"/v1/webhooks/{hook}/enable", {})
            for event in due:
                await self._ask("POST", f"/v1/webhooks/{hook}/deliveries/{event}/redeliver", {})
            await self._settled(ref)
        if self._case.journey in ("gone", "redelivered"):
            await self._disabled(hook, watch)
        if self._case.point:
            with contextlib.suppress(AssertionError):
                await sometime(lambda: self._has_died, "the death", within_s=3)
            self._outcome.was_killed = self._has_died
        await sometime(self._has_no_marker, "no marker is left")
        listed = await self._ask("GET", f"/v1/webhooks/{hook}/deliveries?limit=100")
        self._outcome.given_up = {
            ("/hook", each["event_id"])
            for each in listed["data"]
            if each["status"] in ("failed", "skipped")
        }
        self._secrets["/own"] = (await self._ask("GET", "/v1/webhook-secret"))["secret"]

    async def _is_ended(self, ref: RunRef) -> bool:
        entries = await self._deployment.entries(ref)
        return bool(entries) and entries[-1].body.kind == "end"

    async def _settled(self, ref: RunRef) -> None:
        async def settled() -> bool:
            page = await self._ask("GET", f"/v1/runs/{ref.run_id}/deliveries")
            done = {each["event_id"] for each in page["data"] if each["status"] in _FINAL}
            pending = [each for each in page["data"] if each["status"] not in _FINAL]
            return not pending and done >= {event for _, event in self._outcome.due}

        await sometime(settled, "all deliveries are over")

    async def _delete(self, ref: RunRef, hook: str) -> None:
        async def sent_once() -> bool:
            # To the run's own webhook as well: what it has not been sent goes with the run.
            return {f"{path} {event}" for path, event in self._outcome.due} <= set(self._asked)

        await sometime(sent_once, "each event was sent once")
        await self._ask("DELETE", f"/v1/runs/{ref.run_id}")
        # The retries are due in a minute, and find nothing; their markers are of no interest here.
        await sometime(lambda: self._is_noted(hook), "the deletion is noted")
        await self._deployment.store.delete_many(await self._deployment.store.list(HOOKS))

    async def _is_noted(self, hook: str) -> bool:
        listed = await self._ask("GET", f"/v1/webhooks/{hook}/deliveries?limit=100")
        noted = [each for each in listed["data"] if each["given_up_because"] == "run_deleted"]
        return len(noted) == len(self._outcome.due) // 2 == len(listed["data"])

    async def _disabled(self, hook: str, watch: str) -> None:
        async def told() -> list[JsonObject]:
            page = await self._ask("GET", f"/v1/webhooks/{watch}/deliveries")
            return [each for each in page["data"] if each["status"] == "delivered"]

        for each in await sometime(told, "the other webhook is told"):
            assert str(each["event_id"]).startswith(hook)
            self._outcome.due.add(("/watch", str(each["event_id"])))

    async def _has_no_marker(self) -> bool:
        return not await self._deployment.store.list(HOOKS)

    def judge(self) -> None:
        """Verify each request with the public library, and count."""
        for request, status in self._answers:
            known = (request.path, request.id)
            is_genuine = request.is_genuine(self._secrets[request.path])
            if (
                not is_genuine
                or request.event["id"] != request.id
                or known not in self._outcome.due
            ):
                self._outcome.forged += 1
            counts = self._outcome.accepted if status < 300 else self._outcome.refused
            counts[known] += 1
