"""No key, token or signature is in what a run leaves: logs, events, objects, errors, tracebacks.

The clients are real, and so are the SDKs; the servers repeat every secret that they received.
"""

import asyncio
import io
import json
import logging
import re
import traceback
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from tests.contract.models.services import KEY, SERVICES
from tests.support.bedrock import KEY_ID, SECRET, TOKEN, use_keys
from tests.support.certificates import Authority
from tests.support.model_replies import Plan, Reply
from tests.support.model_server import ModelServer
from tests.support.runs import TENANT, Cluster, solo
from tests.support.token_server import token_server

from teamrun.components.registry import Registry
from teamrun.logs import configure_logging
from teamrun.messages.llm import UserMessage
from teamrun.models import AzureOpenAIChatCompletionClient, ChatCompletionClient, RetryPolicy
from teamrun.testing import FakeClock

pytestmark = pytest.mark.integration

CLIENT_SECRET = "secret-of-the-service-principal"
SECRETS = (KEY, SECRET, TOKEN, CLIENT_SECRET)
AWS = f"no {KEY_ID}, nor {TOKEN}"
_SIGNATURE = re.compile(r"Signature=([0-9a-f]{64})")


def replies(echo: str) -> dict[str, Reply]:
    """Answers of a server that repeats what it received."""
    elsewhere = {"location": f"http://other.test/?key={KEY}"}
    page = f"<html><title>{echo}</title></html>"
    return {
        "it_answers": Reply(content="so it is DONE"),
        "refused": Reply(status=401, content=echo),
        "wrong": Reply(status=400, content=echo),
        "limited": Reply(status=429, content=echo),
        "down": Reply(status=503, content=echo),
        "a_page": Reply(status=502, body=page, media_type="text/html"),
        "redirected": Reply(status=307, headers=elsewhere),
        "dropped": Reply(fault="drop"),
        "cut": Reply(content="x y z", fault="cut", after=3),
        "malformed": Reply(content="x y z", fault="malformed", after=3),
        "an_error_in_the_stream": Reply(content=echo, fault="error_event", after=1),
        "silence": Reply(content="x y", fault="hang", after=1),
    }


class Place:
    """What a test collects."""

    def __init__(self, log: io.StringIO) -> None:
        self.log = log
        self.texts: list[str] = []
        self.secrets: set[str] = {*SECRETS, "-of-entra"}

    def learn(self, requests: Sequence[dict[str, Any]]) -> None:
        """The secrets of requests that were sent."""
        for request in requests:
            headers = request["headers"]
            authorization = headers.get("authorization", "")
            self.secrets.update(_SIGNATURE.findall(authorization))
            if authorization.startswith("Bearer "):
                self.secrets.add(authorization.removeprefix("Bearer "))
            self.secrets.update(headers.get(name, KEY) for name in ("api-key", "x-identity-header"))

    def found(self) -> list[str]:
        """What contains a secret."""
        texts = [*self.texts, *self.log.getvalue().splitlines()]
        return [text for text in texts if any(secret in text for secret in self.secrets)]


@contextmanager
def logged() -> Generator[io.StringIO]:
    """Everything that a process of the service writes to its log at the level `debug`."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in root.manager.loggerDict}
    configure_logging(level="debug")
    [handler] = root.handlers
    cast("logging.StreamHandler[io.StringIO]", handler).setStream(stream)
    try:
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Generator[Place]:
    use_keys(monkeypatch)
    with logged() as log:
        yield Place(log)


def quick() -> dict[str, Any]:
    """Options of a client whose retries take no time."""
    return {
        "retry": RetryPolicy(max_retries=1, jitter=0),
        "clock": FakeClock(),
        "timeout": timedelta(seconds=0.2),
    }


async def run_with(model: ChatCompletionClient, place: Place, *, streamed: bool) -> str:
    """A run; returns its status. Everything that it leaves is added to `place`."""
    team = solo(model_client_stream=streamed)
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
    store = cluster.store
    objects = [await store.get(key) for key in await store.list("")]
    place.texts += [data.decode() for data in objects]
    place.texts += [repr(entries), run.model_dump_json(), repr(vars(cluster.live))]
    return run.status


async def call(model: ChatCompletionClient, place: Place, *, streamed: bool) -> None:
    """The same outside a run: its error as a program sees it, with its traceback."""
    asked = [UserMessage(content="Hi", source="user")]
    try:
        if streamed:
            [_ async for _ in model.create_stream(asked)]
        else:
            await model.create(asked)
    except Exception as error:
        place.texts += [repr(error), "".join(traceback.format_exception(error))]
        place.texts += [json.dumps(getattr(error, "data", {}), default=str)]
        logging.getLogger("teamrun.of_the_test").debug("It failed", exc_info=True)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("how", replies(""))
@pytest.mark.parametrize("service", SERVICES)
async def test_a_run_leaves_no_secret(place: Place, service: str, how: str, streamed: bool) -> None:
    reply = replies(AWS if service == "bedrock" else f"no {KEY}; Authorization: Bearer {KEY}")[how]
    async with ModelServer(Plan(default=reply)) as server:
        model = SERVICES[service].connect(server.address, **quick())
        status = await run_with(model, place, streamed=streamed)
        await call(model, place, streamed=streamed)
        await model.close()
        place.learn(server.requests)
    assert (status == "completed") is (how == "it_answers")
    assert "It failed" in place.log.getvalue() or status == "completed"
    assert len(place.secrets) > len(SECRETS) + 1 or service != "bedrock"
    assert place.found() == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_that_is_not_there(place: Place, service: str) -> None:
    async with ModelServer() as server:
        address = server.address
    model = SERVICES[service].connect(address, **quick())
    assert await run_with(model, place, streamed=False) == "failed"
    await call(model, place, streamed=False)
    await model.close()
    assert place.found() == []


@asynccontextmanager
async def principal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[tuple[Any, ModelServer]]:
    certificates = Authority(tmp_path, "entra")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca_file))
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")
    with token_server(certificates.server()) as entra:
        for name, value in entra.service_principal(CLIENT_SECRET).items():
            monkeypatch.setenv(name, value)
        async with ModelServer(
            Plan(default=Reply(status=403, content="no token-1-of-entra"))
        ) as server:
            yield entra, server


@pytest.mark.parametrize("answer", [None, (401, "invalid_client"), (200, None)])
async def test_tokens_of_entra(
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[int, str | None] | None,
) -> None:
    async with principal(tmp_path, monkeypatch) as (entra, server):
        if answer is not None:
            described = f"AADSTS7000215: Invalid client secret provided: {CLIENT_SECRET}"
            entra.refusal = (
                answer[0],
                {"error": answer[1], "error_description": described, "access_token": ""},
            )
        model = AzureOpenAIChatCompletionClient("gpt-4o", endpoint=server.address, **quick())
        assert await asyncio.wait_for(run_with(model, place, streamed=True), 60) == "failed"
        await call(model, place, streamed=False)
        await model.close()
        place.learn(server.requests)
        assert bool(server.requests) is (answer is None)
        assert entra.requests[0]["form"]["client_secret"] == CLIENT_SECRET
    assert place.found() == []
