"""A deployment on Azure Functions, seen by its clients."""

import hashlib
import json
from collections.abc import Generator

import httpx2
import pytest
from tests.support.aws_teams import ledger, write_teams
from tests.support.azure_deployment import KEY, AzureDeployment, azure_deployment
from tests.support.receiver import Receiver, receiving
from tests.support.service import until
from tests.support.services import Azurite

from teamrun.client import Client, Event

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def receiver() -> Generator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture(scope="module")
def deployment(
    azure_server: Azurite, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Generator[AzureDeployment]:
    folder = tmp_path_factory.mktemp("azure")
    write_teams(folder)
    environ = {
        "TEAMRUN_ALLOWED_HOSTS": json.dumps([receiver.url.removeprefix("http://")]),
        "TEAMRUN_LOG_LEVEL": "debug",
    }
    with azure_deployment(folder, azure_server, environ=environ) as made:
        yield made


@pytest.fixture
def client(deployment: AzureDeployment) -> Generator[Client]:
    with Client(deployment.url, api_key=KEY) as made:
        yield made


def test_a_run_is_followed_to_its_end_without_a_gap(client: Client) -> None:
    run = client.runs.submit("talk", "Go")
    items = list(client.runs.stream(run.id))
    events = [item for item in items if isinstance(item, Event)]
    assert items == events == list(client.runs.events(run.id))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].type == "run.completed"
    assert client.runs.get(run.id).status == "completed"


def test_the_api_says_what_it_cannot_do(client: Client) -> None:
    info = client.server.info()
    assert info.server.authentication == "bearer"
    assert not info.server.streaming
    assert not info.server.live_events
    assert client.server.readiness().status == "ready"


def test_a_key_is_needed(deployment: AzureDeployment) -> None:
    for headers in ({}, {"Authorization": "Bearer other"}):
        answer = httpx2.get(f"{deployment.url}/v1/info", headers=headers, timeout=60)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_person_answers_and_the_client_waits(client: Client) -> None:
    run = client.runs.submit_and_wait("ask", "Go", timeout=90)
    assert run.status == "input_required"
    client.runs.answer(run.id, run.required_actions[0].id, content="blue")
    assert client.runs.wait(run.id, timeout=90).status == "completed"


def test_a_run_that_is_executed_is_cancelled(client: Client, deployment: AzureDeployment) -> None:
    before = ledger(deployment.folder).count("nap")
    run = client.runs.submit("pay", "Go")
    until(lambda: ledger(deployment.folder).count("nap") > before, "the long call has begun")
    client.runs.cancel(run.id)
    assert client.runs.wait(run.id, timeout=90, until="end").status == "cancelled"


def test_a_webhook_is_delivered_once_and_signed(client: Client, receiver: Receiver) -> None:
    secret = client.webhooks.run_secret().secret
    hook = {"url": f"{receiver.url}/hook", "events": ["run.completed"]}
    run = client.runs.submit("talk", "Go", webhook=hook)
    until(lambda: receiver.received, "the webhook is delivered")
    client.runs.wait(run.id, timeout=90)
    (received,) = receiver.received
    assert received.event["type"] == "run.completed"
    assert received.is_genuine(secret)


def test_a_batch_is_driven_by_the_timer(client: Client, deployment: AzureDeployment) -> None:
    batch = client.batches.submit("talk", [f"item {n}" for n in range(25)])
    ended = client.batches.wait(batch.id, timeout=150)
    assert (ended.status, ended.counts.completed) == ("completed", 25)
    assert len(list(client.batches.results(batch.id))) == 25
    assert any(len(json.loads(body)) > 1 for body in deployment.host.bodies)


def test_a_file_and_a_path_come_through_as_they_are(deployment: AzureDeployment) -> None:
    line = json.dumps({"input": "Grüße"}, ensure_ascii=False)
    data = f"{line}\n".encode() * 200
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx2.Client(base_url=deployment.url, headers=headers, timeout=60) as http:
        kind = {"Content-Type": "application/x-ndjson"}
        made = http.post("/v1/files", content=data, headers=kind)
        assert made.status_code in (200, 201), made.text
        content = http.get(f"/v1/files/{made.json()['id']}/content")
        missing = http.get("/v1/runs/run_x%5Fy")
    assert content.status_code == 200
    assert hashlib.sha256(content.content).digest() == hashlib.sha256(data).digest()
    assert (missing.status_code, missing.headers["content-type"]) == (
        404,
        "application/problem+json",
    )


def test_nothing_that_is_written_contains_a_key(
    client: Client, deployment: AzureDeployment
) -> None:
    """Last in the file: it looks at what the tests before have written, at the level `debug`."""
    secret = client.webhooks.run_secret().secret
    run = client.runs.submit("talk", "Go")
    assert client.runs.wait(run.id, timeout=90).status == "completed"
    written = [*map(str.encode, deployment.host.bodies), deployment.logs().encode()]
    assert b'"level": "debug"' in written[-1]
    assert secret.encode() not in written[-1]
    written += map(deployment.blob, deployment.names())
    for canary in (KEY, deployment.server.key, "sig="):
        assert not any(canary.encode() in each for each in written)
