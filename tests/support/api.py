"""The API in process, over real parts: a memory store, and an engine that runs on demand."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx2
from fastapi import FastAPI
from starlette.types import Message
from tests.support.webhooks import webhook_service

from teamrun.batches.service import BatchService
from teamrun.catalog.lookup import TeamLookup
from teamrun.catalog.service import TeamService
from teamrun.catalog.stored import StoredTeams
from teamrun.components.catalog import Catalog
from teamrun.components.registry import Registry
from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.dispatch.queues import Queue
from teamrun.errors import RunEnded
from teamrun.live.memory import MemoryLive
from teamrun.models.base import ChatCompletionClient
from teamrun.runs.durable.team import team_program
from teamrun.runs.engine.engine import Engine
from teamrun.runs.log.archive import DUTIES
from teamrun.runs.service.follow import Start
from teamrun.runs.service.news import News
from teamrun.runs.service.service import RunService
from teamrun.storage.base import ObjectStore
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel
from teamrun.threads.service import ThreadService
from teamrun.threads.turns import ThreadTurns
from teamrun.tools.context import ToolContext
from teamrun.tools.function import FunctionTool
from teamrun_api.app import create_app
from teamrun_api.readiness import Check
from teamrun_api.settings import ApiKey, ApiSettings

__all__ = ["LOCAL", "Exchange", "World", "frames_of", "key", "serve", "team_service", "world"]

LOCAL = "http://127.0.0.1"

T = TypeVar("T")

TEAM: dict[str, Any] = {
    "type": "round_robin_group_chat",
    "participants": [
        {
            "type": "assistant_agent",
            "name": "writer",
            "model": "default",
            "tools": ["note"],
            "reflect_on_tool_use": True,
            "model_client_stream": True,
        }
    ],
    "termination": {"type": "text_mention", "text": "DONE"},
}

SCRIPT = {
    "writer": [
        {"tool_calls": [{"name": "note", "arguments": {"text": "first"}}]},
        "It is noted.",
        {"tool_calls": [{"name": "note", "arguments": {"text": "second"}}]},
        "It is noted again. DONE",
    ]
}


def note(text: str, context: ToolContext) -> str:
    """Write a note into a file."""
    context.artifacts.write("note.txt", text, "text/plain; charset=utf-8")
    return "noted"


class Mailbox:
    """A dispatcher that keeps its messages, so that a test decides when runs are executed."""

    def __init__(self) -> None:
        self.refs: list[RunRef] = []
        self.arrived = asyncio.Event()

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        self.refs.extend(refs)
        self.arrived.set()

    async def close(self) -> None:
        pass


class CountingLive(MemoryLive):
    """Counts the subscriptions that are open."""

    open = 0

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncGenerator[AsyncIterator[bytes], None]:
        async with super().subscribe(topic) as messages:
            self.open += 1
            try:
                yield messages
            finally:
                self.open -= 1


class CountingService(RunService):
    """Counts the `news` generators that are open."""

    open = 0

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.opened = asyncio.Semaphore(0)

    async def news(self, start: Start) -> AsyncGenerator[list[News], None]:
        following = super().news(start)
        self.open += 1
        self.opened.release()
        try:
            async for batch in following:
                yield batch
        finally:
            self.open -= 1
            await following.aclose()


def team_service(
    service: RunService, registry: Registry, store: ObjectStore, stored: StoredTeams | None = None
) -> TeamService:
    """The service of teams beside one of runs."""
    return TeamService(
        registry=registry,
        teams=service.teams,
        stored=stored or StoredTeams(store),
        store=store,
        clock=SystemClock(),
    )


class World:
    """An application and its parts."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        checks: Mapping[str, Check],
        latency_s: float = 0,
        model: ChatCompletionClient | None = None,
        registry: Registry | None = None,
        catalog: Catalog | None = None,
        **given: Any,
    ) -> None:
        self.store = store
        self.live = CountingLive()
        self.mailbox = Mailbox()
        self.registry = registry or Registry.of(
            teams={"writers": TEAM},
            models={"default": model or ScriptedModel(SCRIPT, latency=latency_s)},
            tools=[FunctionTool(note, description="Write a note.")],
        )
        stored = StoredTeams(store)

        async def cancel(ref: RunRef, reason: str) -> None:
            with contextlib.suppress(RunEnded):
                await self.service.cancel(ref.tenant, ref.run_id, reason=reason)

        turns = ThreadTurns(
            store=store,
            live=self.live,
            clock=SystemClock(),
            dispatcher=self.mailbox,
            cancel=cancel,
        )
        duties = (turns.follow, *DUTIES)
        self.service = CountingService(
            store=store,
            live=self.live,
            dispatcher=self.mailbox,
            registry=self.registry,
            catalog=catalog or TeamLookup(self.registry, stored),
            duties=duties,
            threads=turns,
        )
        self.batches = BatchService(store=store, live=self.live, teams=self.service.teams)
        self.engine = Engine(
            store=store,
            live=self.live,
            dispatcher=self.mailbox,
            program=team_program(self.registry, threads=turns.conversation.before),
            owner="worker",
            duties=duties,
            is_turn=turns.is_turn,
        )
        self.app: FastAPI = create_app(
            service=self.service,
            batches=self.batches,
            webhooks=webhook_service(store),
            teams=team_service(self.service, self.registry, store, stored),
            threads=ThreadService(
                store=store, turns=turns, read_run=self.service.get, clock=SystemClock()
            ),
            settings=ApiSettings(**given),
            checks=checks,
        )
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app, raise_app_exceptions=False),
            base_url=LOCAL,
        )

    async def submit(self, **body: Any) -> str:
        """Submit a run and give back its id."""
        answer = await self.client.post("/v1/runs", json={"team": "writers", "input": "Go"} | body)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    async def execute(self) -> None:
        """Execute the submitted runs to their end."""
        refs, self.mailbox.refs = self.mailbox.refs, []
        await asyncio.gather(*(self.engine.execute(ref) for ref in refs))

    async def ended(self, **body: Any) -> str:
        """Submit a run, execute it, give back its id."""
        run_id = await self.submit(**body)
        await self.execute()
        return run_id


@asynccontextmanager
async def world(
    store: ObjectStore | None = None,
    *,
    checks: Mapping[str, Check] | None = None,
    latency_s: float = 0,
    model: ChatCompletionClient | None = None,
    registry: Registry | None = None,
    catalog: Catalog | None = None,
    **given: Any,
) -> AsyncGenerator[World, None]:
    """An API with the settings `given`."""
    made = World(
        store or MemoryStore(),
        checks=checks or {},
        latency_s=latency_s,
        model=model,
        registry=registry,
        catalog=catalog,
        **given,
    )
    try:
        yield made
    finally:
        await made.client.aclose()
        await made.engine.close()
        await made.service.close()


def serve(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a scenario, bounded."""

    async def bounded() -> T:
        async with asyncio.timeout(20):
            return await scenario

    return asyncio.run(bounded())


class Exchange:
    """One request made by hand: for streams read while they go on, and clients that leave."""

    def __init__(
        self,
        app: FastAPI,
        path: str,
        *,
        method: str = "GET",
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = b"",
        takes: int = 0,
    ) -> None:
        """Send the request.

        Args:
            app: The application.
            path: The path of the request.
            method: How.
            query: The query string.
            headers: Beside `Host`.
            body: None for one that the client does not send yet.
            takes: How much of the answer the client takes before it reads; 0 is all.
        """
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (name.lower().encode(), value.encode())
                for name, value in {"host": "127.0.0.1", **(headers or {})}.items()
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        if body is not None:
            self._inbox.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self._outbox: asyncio.Queue[Message] = asyncio.Queue(takes)
        self.ended = False
        self.headers: dict[str, str] = {}
        self.task = asyncio.ensure_future(app(self.scope, self._inbox.get, self._outbox.put))

    async def start(self) -> int:
        """The status, when the answer has begun."""
        message = await self._outbox.get()
        assert message["type"] == "http.response.start", message
        self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        return message["status"]

    async def chunk(self) -> bytes:
        """The next piece of the body."""
        message = await self._outbox.get()
        assert message["type"] == "http.response.body", message
        self.ended = not message.get("more_body", False)
        return message.get("body", b"")

    async def rest(self) -> bytes:
        """The body from here to its end."""
        found = b""
        while not self.ended:
            found += await self.chunk()
        await self.task
        return found

    async def leave(self) -> None:
        """Close the connection, and wait until the server has noticed."""
        self._inbox.put_nowait({"type": "http.disconnect"})
        await self.task


def frames_of(body: bytes | str) -> Iterator[dict[str, Any]]:
    """The frames of an event stream: `id`, `event`, and `data` parsed."""
    text = body.decode() if isinstance(body, bytes) else body
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line[1:])
        if "event" in fields:
            yield {**fields, "data": json.loads(fields["data"])}


def key(token: str, *scopes: str, name: str = "ci", tenant: str = "default") -> ApiKey:
    """The key `token` as an operator configures it."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    return ApiKey.model_validate(
        {"name": name, "sha256": digest, "scopes": scopes, "tenant": tenant}
    )
