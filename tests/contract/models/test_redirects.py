"""The requests of a client whose server redirects it."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx2
import pytest
from openai import DefaultAsyncHttpxClient
from tests.contract.models.wires import ASK, CLIENTS, connected, served
from tests.support.model_replies import Reply

from teamrun.errors import ModelError
from teamrun.models import ChatCompletionClient
from teamrun.models.redirects import guarded, on_same_server

HttpClient = Callable[[], httpx2.AsyncClient] | None

KEYS = {"x-api-key": "key-of-the-profile", "x-goog-api-key": "another-key-of-it"}
HTTP_CLIENTS: dict[str, HttpClient] = {
    "own": None,
    "following": DefaultAsyncHttpxClient,
    "not-following": httpx2.AsyncClient,
}


def redirect(status: int, location: str) -> Reply:
    return Reply(status=status, body="", headers={"location": location})


async def asked(model: ChatCompletionClient, streamed: bool) -> object:
    if streamed:
        return [piece async for piece in model.create_stream(ASK)][-1]
    return await model.create(ASK)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("http", HTTP_CLIENTS)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_nothing_is_sent_to_another_server(
    client: str, http: str, streamed: bool, status: int
) -> None:
    make = HTTP_CLIENTS[http]
    async with served(Reply(content="Mine now.")) as other:
        moved = redirect(status, f"{other.base_url}/chat/completions?key=secret-in-the-query")
        async with served(moved) as server:
            options = {"default_headers": KEYS, "http_client": make() if make else None}
            async with connected(client, server, **options) as model:
                with pytest.raises(ModelError) as raised:
                    await asked(model, streamed)
            assert (server.calls, other.connections) == (1, 0)
        assert other.base_url in raised.value.message
    assert not raised.value.retryable
    assert "secret-in-the-query" not in raised.value.message


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [307, 308])
async def test_another_path_of_the_same_server_is_asked(
    client: str, streamed: bool, status: int
) -> None:
    moved = redirect(status, "/v2/chat/completions")
    async with served(moved, Reply(content="Three.")) as server:
        async with connected(client, server, default_headers=KEYS) as model:
            await asked(model, streamed)
        first, second = server.requests
    assert second["path"] == "/v2/chat/completions"
    assert second["body"] == first["body"]
    assert second["headers"]["x-api-key"] == KEYS["x-api-key"]


async def test_a_server_that_redirects_in_circles_is_asked_in_one_attempt_only() -> None:
    circle = redirect(307, "/v1/chat/completions")
    async with served(circle) as server, connected("openai", server) as model:
        with pytest.raises(ModelError) as raised:
            await model.create(ASK)
    assert not raised.value.retryable


@dataclass(frozen=True)
class Hop:
    id: str
    start: str
    location: str
    followed: bool


HOPS = [
    Hop("path", "https://a.example/v1", "/v2", True),
    Hop("same-origin", "https://a.example/v1", "https://A.example:443/v2", True),
    Hop("upgrade", "http://a.example/v1", "https://a.example/v1", True),
    Hop("downgrade", "https://a.example/v1", "http://a.example/v1", False),
    Hop("upgrade-from-a-port", "http://a.example:8080/v1", "https://a.example/v1", False),
    Hop("upgrade-of-another-host", "http://a.example/v1", "https://b.example/v1", False),
    Hop("port", "https://a.example/v1", "https://a.example:8443/v1", False),
    Hop("subdomain", "https://a.example/v1", "https://x.a.example/v1", False),
    Hop("no-scheme", "https://a.example/v1", "//b.example/v1", False),
    Hop("user", "https://a.example/v1", "https://a.example@b.example/v1", False),
    Hop("address", "http://127.0.0.1/v1", "http://localhost/v1", False),
]


@pytest.mark.parametrize("hop", HOPS, ids=lambda hop: hop.id)
async def test_only_the_same_server_counts(hop: Hop) -> None:
    sent: list[httpx2.URL] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.url)
        return httpx2.Response(200 if len(sent) > 1 else 307, headers={"location": hop.location})

    transport = httpx2.MockTransport(answer)
    client = guarded(httpx2.AsyncClient(transport=transport, follow_redirects=True))
    async with client:
        if hop.followed:
            with on_same_server():
                await client.post(hop.start)
        else:
            with on_same_server(), pytest.raises(ModelError):
                await client.post(hop.start)
    assert len(sent) == (2 if hop.followed else 1)


async def test_other_requests_of_a_callers_own_client_are_left_alone() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "b.example":
            return httpx2.Response(200)
        return httpx2.Response(307, headers={"location": "https://b.example/"})

    transport = httpx2.MockTransport(answer)
    async with httpx2.AsyncClient(transport=transport, follow_redirects=True) as client:
        assert guarded(guarded(client)) is client
        assert len(client.event_hooks["request"]) == 1
        assert (await client.post("https://a.example/")).status_code == 200
