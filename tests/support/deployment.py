"""A deployment for fault tests: a store, Valkey, a model server, real workers and APIs.

Its lease is a second. The team books a line with a tool whose effect is outside (`effects:
write`), and each run has a token in its task, by which the model server counts its calls and the
ledger its lines.
"""

import asyncio
import contextlib
import itertools
import json
import re
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from pydantic import Field
from tests.support.children import Child, start_api, start_worker
from tests.support.crash_points import Crash
from tests.support.model_replies import Plan, Reply, Rule, ToolCall
from tests.support.model_server import ModelServer
from tests.support.service import free_port
from tests.support.services import Valkey, valkey

from teamrun.components.team_file import load_registry
from teamrun.core.clock import SystemClock
from teamrun.core.refs import RunRef
from teamrun.dispatch.celery import CeleryDispatcher
from teamrun.errors import StorageError, Unavailable
from teamrun.live.open import open_live
from teamrun.runs.log.entries import Entry
from teamrun.runs.log.keys import OPEN, open_marker
from teamrun.runs.log.log import RunLog
from teamrun.runs.service.requests import RunRequest
from teamrun.runs.service.service import RunService
from teamrun.storage.address import key_prefix, store_namespace
from teamrun.storage.open import open_store

__all__ = [
    "LEASE_S",
    "TENANT",
    "CountingModel",
    "Deployment",
    "DeskPlan",
    "IllPlan",
    "deployed",
    "sometime",
]

_TRIES = 5
"""Requests of a client that gets 503."""

LEASE_S = 1.0
SLOW_S = 0.7
ENDLESS_S = 30.0
"""Of calls that are cancelled: longer than any process takes to do it."""

TENANT = "default"

_FILE = """\
version: 1
models:
  main: {{type: openai, model: gpt-4o, api_key: k, base_url: "{base_url}"}}
  once: {{type: openai, model: gpt-4o, api_key: k, base_url: "{base_url}", max_retries: 0}}
  script: {{type: scripted, script: {{parrot: [polly]}}}}
tools:
  book: {{function: "ledger:book"}}
  die: {{function: "ledger:die"}}
agents:
  clerk: {{model: main, tools: [book], max_tool_iterations: 3}}
  lemming: {{model: main, tools: [die]}}
  novice: {{model: once, tools: [book], max_tool_iterations: 3}}
  checker: {{model: main, model_client_stream: true}}
  person: {{type: user_proxy_agent}}
  parrot: {{model: script}}
  idler: {{model: main}}
  second: {{model: main}}
  last: {{model: main}}
  porter: {{model: main, handoffs: [clerk]}}
teams:
  desk:
    type: round_robin_group_chat
    agents: [clerk, person]
    termination: {{type: text_mention, text: DONE, sources: [clerk]}}
  shop:
    type: round_robin_group_chat
    agents: [novice, person]
    termination: {{type: text_mention, text: DONE, sources: [novice]}}
  cliff:
    type: round_robin_group_chat
    agents: [lemming]
    max_turns: 1
  cage:
    type: round_robin_group_chat
    agents: [parrot]
    max_turns: 1
  office:
    type: round_robin_group_chat
    agents: [clerk, checker]
    max_turns: 6
  race:
    type: competitive
    agents: [clerk, idler]
    enough: 1
  fork:
    type: graph_flow
    agents: [clerk, checker, second, last]
    graph:
      nodes:
        clerk: {{edges: [{{target: checker}}, {{target: second}}]}}
        checker: {{edges: [{{target: last}}]}}
        second: {{edges: [{{target: last}}]}}
        last: {{}}
  counter:
    type: swarm
    agents: [porter, clerk]
    max_turns: 2
  branch:
    type: round_robin_group_chat
    agents: [counter, checker]
    max_turns: 2
"""

_LEDGER = """\
import os
import signal

from teamrun.tools.function import FunctionTool
from tests.support.crash_points import passing


def _book(token: str) -> str:
    \"\"\"Write a line into the ledger.\"\"\"
    passing("before effect")
    file = os.open({path!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{{token}}\\n".encode())
    os.close(file)
    passing("after effect")
    return "booked"


def die() -> str:
    \"\"\"Take the worker along.\"\"\"
    os.kill(os.getpid(), signal.SIGKILL)
    return "unheard"


book = FunctionTool(_book, name="book", effects="write")
"""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_TOKEN = re.compile(r"token-\w+")


class DeskPlan(Plan):
    """The clerk books, reports it, and ends when the person has answered."""

    failed: set[str] = Field(default_factory=set)
    """Tokens with `ill` that have already failed once."""
    rules: list[Rule] = Field(
        default=[
            Rule(contains="go on, please", reply=Reply(content="DONE")),
            Rule(contains="in the book", reply=Reply(content="Noted.")),
            Rule(contains="booked", reply=Reply(content="It is in the book.")),
            Rule(contains="not repeated", reply=Reply(content="It may be in the book.")),
        ]
    )

    def pick(self, body: dict[str, Any]) -> Reply:
        """The reply to a request; the first one books the token, and may take its time."""
        if self.queue or any(rule.fits(body) for rule in self.rules):
            return super().pick(body)
        token = _token_of(body)
        if "_ill_" in token and token not in self.failed:
            self.failed.add(token)
            return Reply(status=503)
        tools = {tool["function"]["name"] for tool in body.get("tools", ())}
        if "_raced_" in token and not tools:  # the idler, which loses the race
            return Reply(content="Late.", latency_seconds=ENDLESS_S)
        if "transfer_to_clerk" in tools:
            return Reply(content="", tool_calls=[ToolCall(name="transfer_to_clerk", arguments={})])
        if "_deadly_" in token:
            return Reply(content="", tool_calls=[ToolCall(name="die", arguments={})])
        return Reply(
            content="",
            tool_calls=[ToolCall(name="book", arguments={"token": token})],
            latency_seconds=_latency_seconds(token),
        )


def _latency_seconds(token: str) -> float | None:
    if "_endless_" in token:
        return ENDLESS_S
    return SLOW_S if "slow" in token else None


class IllPlan(DeskPlan):
    """The same, but every fourth request fails, in alternating ways."""

    asked: int = 0
    given: int = 0
    """The number of failures."""

    def pick(self, body: dict[str, Any]) -> Reply:
        """The reply to a request, or a fault."""
        self.asked += 1
        if self.asked % 4:
            return super().pick(body)
        self.given += 1
        return _FAULTS[self.given % len(_FAULTS)]


_FAULTS = [
    Reply(status=429, headers={"retry-after-ms": "20"}),  # it pauses all calls
    Reply(status=500),
    Reply(content="An answer that is cut", fault="cut", after=2),
    Reply(fault="drop"),
    Reply(content="An answer that is no JSON", fault="malformed", after=2),
]


class CountingModel(ModelServer):
    """A model server that counts calls by the token in their task."""

    def __init__(self, given: Plan | None = None, *, latency_seconds: float = 0) -> None:
        super().__init__(given or DeskPlan(), latency_seconds=latency_seconds)
        self.by_token: Counter[str] = Counter()

    def begin(self, path: str, headers: dict[str, Any], body: dict[str, Any]) -> int:
        self.by_token[_token_of(body)] += 1
        return super().begin(path, headers, body)


def _token_of(body: dict[str, Any]) -> str:
    for message in body["messages"]:
        if message["role"] == "user" and (found := _TOKEN.search(str(message["content"]))):
            return found[0]
    raise AssertionError("a request without the token of its run")


async def sometime(
    probe: Callable[[], Any], what: str, *, within_s: float = 120, every_s: float = 0.05
) -> Any:
    """Poll until a condition in other processes is true; returns its value."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                answer = probe()
                if asyncio.iscoroutine(answer):
                    answer = await answer
                if answer:
                    return answer
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise AssertionError(f"in {within_s} s it did not come true: {what}") from None


class Deployment:
    """One deployment; its processes end with its context.

    Args:
        folder: Of its own.
        server: Its Valkey.
        model: Its model server.
        store_url: The store of runs; by default a new folder.
        redis_url: How workers and APIs reach Valkey; directly by default.
        environ: Further variables of its processes.
    """

    def __init__(
        self,
        folder: Path,
        server: Valkey,
        model: CountingModel,
        *,
        store_url: str | None = None,
        redis_url: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.server = server
        self.model = model
        self.children: list[Child] = []
        self.ledger = folder / "ledger.txt"
        self.notes = folder / "notes"
        self.port = free_port()
        self._names = itertools.count(1)
        store_url = store_url or (folder / "store").as_uri()
        self.prefix = key_prefix(store_namespace(store_url))
        """The prefix of its keys in Valkey."""
        self.environ = {
            "TEAMRUN_CONFIG": str(folder / "teamrun.yaml"),
            "TEAMRUN_DATA_DIR": str(folder),
            "TEAMRUN_STORE_URL": store_url,
            "TEAMRUN_REDIS_URL": redis_url or server.url,
            "TEAMRUN_LEASE_SECONDS": str(LEASE_S),
            "TEAMRUN_PORT": str(self.port),
            "TEAMRUN_ARCHIVE_EVENTS": "true",
            **(environ or {}),
        }
        self.lease_s = float(self.environ["TEAMRUN_LEASE_SECONDS"])
        folder.mkdir(parents=True, exist_ok=True)
        file = _FILE.format(base_url=model.base_url)
        (folder / "teamrun.yaml").write_text(file, encoding="utf-8")
        tools = _LEDGER.format(path=str(self.ledger))
        (folder / "ledger.py").write_text(tools, encoding="utf-8")
        registry = load_registry(folder / "teamrun.yaml", environ={})
        self.store = open_store(store_url)
        live, dispatcher = (
            open_live(server.url, prefix=self.prefix),
            CeleryDispatcher(server.url, prefix=self.prefix),
        )
        self.service = RunService(
            store=self.store, live=live, dispatcher=dispatcher, registry=registry
        )
        self._parts = (self.service, registry, dispatcher, live, self.store)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for child in self.children:
            child.kill()
        for part in self._parts:
            await part.close()

    def worker(
        self, crash: Crash | None = None, *, noted: bool = False, lonely: bool = False
    ) -> Child:
        """Start a worker; a lonely one does not see the leases of others."""
        start = partial(start_worker, lonely=lonely)
        return self._start(start, "worker", crash, noted=noted)

    def api(self, crash: Crash | None = None, *, noted: bool = False) -> Child:
        """Start an API server on `port`."""
        return self._start(start_api, "api", crash, noted=noted)

    def _start(
        self,
        start: Callable[..., Child],
        name: str,
        crash: Crash | None,
        *,
        noted: bool,
    ) -> Child:
        log = self.folder / f"{name}-{next(self._names)}.log"
        note = self.notes if noted or crash else None
        child = start(self.environ, log, note=note, crash=crash)
        self.children.append(child)
        return child

    async def ready(self, child: Child) -> None:
        """Return when a worker consumes."""
        await sometime(
            lambda: "worker.ready" in child.log.read_text(encoding="utf-8"),
            f"{child.log.name} is ready",
        )

    async def submit(self, token: str, *, team: str = "office", **options: Any) -> RunRef:
        """Accept a run, without HTTP; repeats the request as a client would, with its key."""
        request = RunRequest(team=team, input=f"Please book {token}.", **options)
        for _ in range(_TRIES - 1):
            with contextlib.suppress(Unavailable):
                return await self._submit(request, token)
        return await self._submit(request, token)

    async def _submit(self, request: RunRequest, token: str) -> RunRef:
        submitted = await self.service.submit(TENANT, request, idempotency_key=token)
        return RunRef(TENANT, submitted.run.id)

    async def post(self, path: str, body: dict[str, Any], *, key: str) -> tuple[int, Any]:
        """One request to the API with an Idempotency-Key: status and body; 0 without an answer."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)

        def send() -> tuple[int, Any]:
            try:
                with _direct.open(request, timeout=20) as response:
                    return response.status, json.load(response)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.load(error)
            except OSError:
                return 0, None

        return await asyncio.to_thread(send)

    async def entries(self, ref: RunRef) -> list[Entry]:
        """The log."""
        return await RunLog(self.store, ref, writer="test", clock=SystemClock()).read()

    async def open_runs(self) -> int:
        """The number of runs with work to do."""
        with contextlib.suppress(StorageError):
            return len(await self.store.list(OPEN))
        return -1

    async def is_aside(self, ref: RunRef) -> bool:
        """Whether the run has no work to do."""
        [marker] = await self.store.get_many([open_marker(ref)])
        return marker is None

    async def all_settled(self, *, within_s: float = 30) -> None:
        """Return when no run has work to do."""

        async def settled() -> bool:
            return await self.open_runs() == 0

        await sometime(settled, "no run is open any more", within_s=within_s, every_s=0.2)

    def lines_of(self, token: str) -> int:
        """How often the token is in the ledger: the effects of the tool that writes."""
        if not self.ledger.exists():
            return 0
        return self.ledger.read_text(encoding="utf-8").split().count(token)


@asynccontextmanager
async def deployed(
    folder: Path, *, model: CountingModel | None = None, **options: Any
) -> AsyncGenerator[Deployment]:
    """A deployment with a new Valkey, and a new model server unless one is given."""
    async with contextlib.AsyncExitStack() as stack:
        server = stack.enter_context(valkey())
        if model is None:
            model = await stack.enter_async_context(CountingModel())
        yield await stack.enter_async_context(Deployment(folder, server, model, **options))
