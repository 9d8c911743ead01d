"""The client and a real server: submit, follow, wait, answer, and what survives a kill."""

import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from tests.support.api_server import ApiServer, api_server, start_api

from teamrun.client import (
    AsyncClient,
    Client,
    Delta,
    Event,
    RetryPolicy,
    RunNotFinishedError,
    RunNotFoundError,
    UnfitAnswerError,
)

pytestmark = pytest.mark.integration

QUICK = RetryPolicy(first_delay=0.02, max_delay=0.05, max_reconnects=2000)

ASKING = """\
version: 1
models:
  default: {type: scripted, script: [The draft.]}
agents:
  writer: {model: default}
  editor: {type: user_proxy_agent}
teams:
  desk:
    type: round_robin_group_chat
    agents: [writer, editor]
    termination: {type: text_mention, text: APPROVE}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("api"), latency_ms=20) as started:
        yield started


@pytest.fixture
def client(server: ApiServer) -> Iterator[Client]:
    with Client(server.url) as made:
        yield made


def test_a_run_from_its_submit_to_its_deletion(client: Client) -> None:
    run = client.runs.submit_and_wait("analysts", "Which region?", metadata={"n": "1"}, timeout=30)
    assert run.status == "completed"

    result = client.runs.result(run.id)
    assert result.output is not None and "APPROVE" in result.output.text
    assert client.runs.get(run.id) == run

    pages = list(client.runs.events(run.id, limit=5))
    streamed = list(client.runs.stream(run.id))
    assert [event for event in streamed if isinstance(event, Event)] == pages
    assert [event.seq for event in pages] == list(range(1, len(pages) + 1))
    assert list(client.runs.stream(run.id, after=pages[-1].id)) == []

    forked = client.runs.fork(run.id, after_seq=pages[-1].seq // 2)
    assert client.runs.wait(forked.id, timeout=30).parent_run_id == run.id
    again = client.runs.retry(run.id)
    assert client.runs.wait(again.id, timeout=30).status == "completed"

    listed = {each.id for each in client.runs.list(metadata={"n": "1"}, limit=1)}
    assert listed == {run.id, again.id, forked.id}

    client.runs.delete(run.id)
    with pytest.raises(RunNotFoundError):
        client.runs.get(run.id)


def test_a_stream_shows_text_as_it_is_written(client: Client) -> None:
    run = client.runs.submit("analysts", "Which region?")
    with client.runs.stream(run.id) as stream:
        items = list(stream)

    assert any(isinstance(item, Delta) for item in items)
    assert isinstance(items[-1], Event) and items[-1].type == "run.completed"


def test_teams_and_the_server_describe_themselves(client: Client) -> None:
    assert [team.name for team in client.teams.list()] == ["analysts"]
    assert client.teams.get("analysts").agents == ["analyst", "reviewer"]
    assert client.teams.validate("analysts").valid
    assert not client.teams.validate({"type": "no_such"}).valid
    assert client.server.info().api_versions == ["v1"]
    assert client.server.health().status == "ok"
    assert client.server.readiness().status == "ready"
    assert "teamrun" in client.server.metrics()
    assert list(client.artifacts.list(client.runs.submit("analysts", "Go").id)) == []


def test_a_run_is_delayed_and_cancelled(client: Client) -> None:
    run = client.runs.submit("analysts", "Go", delay_seconds=3600.0, tags=["late"])

    assert run.status == "scheduled"
    assert [each.id for each in client.runs.list(tag="late")] == [run.id]
    with pytest.raises(RunNotFinishedError):
        client.runs.result(run.id)
    assert client.runs.cancel(run.id, reason="why").stop_reason == "why"
    assert client.runs.wait(run.id, timeout=0).status == "cancelled"


async def test_a_person_answers_through_the_async_client(tmp_path: Path) -> None:
    with api_server(tmp_path, team_file=ASKING) as server:
        async with AsyncClient(server.url) as client:
            run = await client.runs.submit_and_wait("desk", "Write.", timeout=30)
            assert run.status == "input_required"
            action = run.required_actions[0]

            with pytest.raises(UnfitAnswerError):
                await client.runs.answer(run.id, action.id, decision="approve")
            await client.runs.answer(run.id, action.id, content="Fine. APPROVE")
            ended = await client.runs.wait(run.id, until="end", timeout=30)

            assert ended.status == "completed"
            types = [event.type async for event in client.runs.events(run.id)]
            assert types[-1] == "run.completed"


class LosesAnswers(httpx2.HTTPTransport):
    """Real requests, of which the first answer to each path is lost on its way back."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = super().handle_request(request)
        self.sent.append(request.url.path)
        if self.sent.count(request.url.path) == 1:
            response.close()
            raise httpx2.ReadError("lost", request=request)
        return response


def test_a_submit_whose_answer_was_lost_creates_one_run(server: ApiServer) -> None:
    transport = LosesAnswers()
    http = httpx2.Client(transport=transport)
    with Client(server.url, http=http, retries=QUICK) as client:
        run = client.runs.submit("analysts", "Go", tags=["lost"])
        ended = client.runs.wait(run.id, timeout=30)

        assert transport.sent.count("/v1/runs") == 2
        assert [each.id for each in client.runs.list(tag="lost")] == [run.id]
        assert ended.status == "completed"
        client.runs.delete(run.id)
        assert transport.sent.count(f"/v1/runs/{run.id}") >= 2


def test_a_stream_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    settings = {"lease_seconds": "0.5", "worker_name": "only"}
    with api_server(tmp_path, latency_ms=100, settings=settings) as first:
        port = str(urlsplit(first.url).port)
        with Client(first.url, retries=QUICK) as client:
            run = client.runs.submit("analysts", "Which region?")
            with client.runs.stream(run.id) as stream:
                seqs = [item.seq for item in [next(stream)] if isinstance(item, Event)]
                first.process.kill()
                first.process.wait(timeout=20)
                second = start_api(tmp_path, "--port", port, **settings)
                assert second.stderr is not None
                try:
                    threading.Thread(target=second.stderr.read, daemon=True).start()
                    items = [item for item in stream if isinstance(item, Event)]
                    ended = client.runs.wait(run.id, timeout=30)
                finally:
                    second.kill()
                    second.wait(timeout=20)
                    second.stderr.close()

    seqs += [item.seq for item in items]
    assert ended.status == "completed"
    assert items[-1].type == "run.completed"
    assert seqs == list(range(1, len(seqs) + 1))
