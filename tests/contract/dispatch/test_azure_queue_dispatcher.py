"""The messages that functions on Azure receive, and what happens while the queues refuse them."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.support.aws_faults import AwsFaults, Fault, aws_faults
from tests.support.certificates import Authority
from tests.support.managed_identity import managed_identity
from tests.support.services import Azurite, azurite

from teamrun.core.refs import RunRef
from teamrun.dispatch.azure_queue import AzureQueueDispatcher
from teamrun.dispatch.base import QueueDepth
from teamrun.dispatch.message import decode_refs
from teamrun.dispatch.open import open_dispatcher
from teamrun.dispatch.queues import Queue
from teamrun.errors import DeliveryError, UsageError

pytestmark = pytest.mark.integration

REFS = [RunRef("default", f"run_{n}") for n in range(25)]
LATER = RunRef("default", "run_later")


def error(status: int, code: str) -> Fault:
    """An answer as the service words it.

    Source: https://learn.microsoft.com/en-us/rest/api/storageservices/status-and-error-codes2
    """
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>The reason.</Message></Error>"
    headers = {"content-type": "application/xml", "x-ms-error-code": code}
    return Fault(status, body.encode(), headers)


busy = error(503, "ServerBusy")
denied = error(403, "AuthorizationPermissionMismatch")


class Queues:
    """The three queues of a test, as the service sees them."""

    def __init__(self, server: Azurite, faults: AwsFaults) -> None:
        self.prefix = f"t{uuid.uuid4().hex}"
        self.server = server
        self.faults = faults
        for queue in Queue:
            server.make_queue(f"{self.prefix}-{queue}")

    @property
    def url(self) -> str:
        account = self.server.account
        return f"azq://{self.prefix}?account={account}&endpoint={self.faults.endpoint}/{account}"

    def bodies(self, queue: Queue) -> list[str]:
        """The messages that are visible; they are hidden for 30 seconds."""
        address = f"{self.server.queue_endpoint}/{self.prefix}-{queue}/messages"
        found: list[str] = []
        while texts := [
            node.text or ""
            for node in ElementTree.fromstring(
                self.server.request("GET", address, {"numofmessages": "32"})
            ).iter("MessageText")
        ]:
            found += texts
        return found

    def refs(self, queue: Queue) -> list[RunRef]:
        return sorted(ref for body in self.bodies(queue) for ref in decode_refs(body))

    def delete(self, queue: Queue) -> None:
        self.server.request("DELETE", f"{self.server.queue_endpoint}/{self.prefix}-{queue}")


@pytest.fixture(scope="module")
def faults_server(azure_server: Azurite) -> Iterator[AwsFaults]:
    server = azure_server.queue_endpoint.removesuffix(f"/{azure_server.account}")
    with aws_faults(server) as found:
        yield found


@pytest.fixture
def queues(
    azure_server: Azurite, faults_server: AwsFaults, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Queues]:
    for name, value in azure_server.environ().items():
        monkeypatch.setenv(name, value)
    yield Queues(azure_server, faults_server)
    faults_server.faults.clear()
    faults_server.always.clear()
    faults_server.counts.clear()


@pytest.fixture
async def dispatcher(queues: Queues) -> AsyncGenerator[AzureQueueDispatcher]:
    found = open_dispatcher(queues.url, prefix="unused")
    assert isinstance(found, AzureQueueDispatcher)
    yield found
    await found.close()


async def test_an_interactive_message_names_one_run(
    queues: Queues, dispatcher: AzureQueueDispatcher
) -> None:
    await dispatcher.send(REFS, first=True)
    bodies = queues.bodies(Queue.INTERACTIVE)
    # As host.json says (`messageEncoding: none`), the text is not in base64.
    assert sorted(map(json.loads, bodies)) == sorted([str(ref)] for ref in REFS)


@pytest.mark.parametrize("queue", [Queue.BATCH, Queue.HOOKS])
async def test_ten_runs_of_a_batch_share_a_message(
    queues: Queues, dispatcher: AzureQueueDispatcher, queue: Queue
) -> None:
    await dispatcher.send(REFS, queue=queue)
    bodies = queues.bodies(queue)
    assert sorted(len(json.loads(body)) for body in bodies) == [5, 10, 10]
    assert sorted(ref for body in bodies for ref in decode_refs(body)) == sorted(REFS)


async def test_nothing_is_sent_for_no_runs(
    queues: Queues, dispatcher: AzureQueueDispatcher
) -> None:
    await dispatcher.send([])
    assert not queues.faults.counts


@pytest.mark.parametrize("days", [1, 30])
async def test_a_delayed_message_is_hidden_for_that_time_or_seven_days(
    queues: Queues, dispatcher: AzureQueueDispatcher, days: int
) -> None:
    await dispatcher.send_later(REFS[:1], queue=Queue.INTERACTIVE, delay=timedelta(days=days))
    assert queues.bodies(Queue.INTERACTIVE) == []
    assert (await dispatcher.depths())["interactive"] == 1


async def test_a_delay_of_a_second_is_one(queues: Queues, dispatcher: AzureQueueDispatcher) -> None:
    await dispatcher.send_later(REFS[:1], queue=Queue.BATCH, delay=timedelta(seconds=1))
    start = datetime.now(UTC)
    while not (found := queues.refs(Queue.BATCH)):
        assert datetime.now(UTC) - start < timedelta(seconds=20)
        await asyncio.sleep(0.1)
    assert found == REFS[:1]


async def test_depths_count_the_messages_of_each_queue(
    queues: Queues, dispatcher: AzureQueueDispatcher
) -> None:
    assert isinstance(dispatcher, QueueDepth)
    await dispatcher.send(REFS[:3])
    await dispatcher.send(REFS[:11], queue=Queue.BATCH)
    assert await dispatcher.depths() == {"interactive": 3, "batch": 2}


@pytest.mark.parametrize("queue", Queue)
async def test_a_missing_queue_is_named_with_the_command_that_creates_it(
    queues: Queues, dispatcher: AzureQueueDispatcher, queue: Queue
) -> None:
    queues.delete(queue)
    with pytest.raises(DeliveryError) as caught:
        await dispatcher.send(REFS[:1], queue=queue)
    assert f"az storage queue create --name {queues.prefix}-{queue}" in str(caught.value)
    assert "TEAMRUN_QUEUE_URL" in str(caught.value)
    assert not caught.value.data.get("retryable")


@pytest.mark.parametrize(
    ("fault", "mentions"),
    [
        (denied, "Storage Queue Data Contributor"),
        (error(403, "AuthenticationFailed"), "credentials"),
        (error(401, "InvalidAuthenticationInfo"), "credentials"),
        (error(400, "OutOfRangeInput"), "OutOfRangeInput"),
        (error(404, "ResourceNotFound"), "TEAMRUN_QUEUE_URL"),
        (Fault(404, b"nonsense"), "does not exist"),
    ],
)
async def test_a_refusal_is_not_repeated_and_has_its_remedy(
    queues: Queues, dispatcher: AzureQueueDispatcher, fault: Fault, mentions: str
) -> None:
    queues.faults.faults["POST"].append(fault)
    with pytest.raises(DeliveryError) as caught:
        await dispatcher.send(REFS[:1])
    assert mentions in str(caught.value)
    assert queues.faults.counts["POST"] == 1
    await dispatcher.send(REFS[:1])
    assert queues.refs(Queue.INTERACTIVE) == REFS[:1]


@pytest.mark.parametrize(
    "fault", [busy, error(429, "TooManyRequests"), error(500, "InternalError"), Fault(502, b"")]
)
async def test_a_transient_refusal_is_repeated(
    queues: Queues, dispatcher: AzureQueueDispatcher, fault: Fault
) -> None:
    queues.faults.faults["POST"] += [fault, fault]
    await dispatcher.send(REFS[:1])
    assert queues.refs(Queue.INTERACTIVE) == REFS[:1]


@pytest.mark.parametrize("fault", [busy, Fault(hangs=True)], ids=["throttles", "hangs"])
async def test_a_queue_that_does_not_accept_in_time_is_a_delivery_error(
    queues: Queues, dispatcher: AzureQueueDispatcher, fault: Fault
) -> None:
    await dispatcher.send(REFS[:1])
    queues.faults.always["POST"] = fault
    async with asyncio.timeout(5):
        with pytest.raises(DeliveryError) as caught:
            await dispatcher.send(REFS[:25] * 8)  # the others do not take two seconds each
    assert caught.value.data["retryable"]
    queues.faults.always.clear()
    await dispatcher.send([LATER])
    # What was refused may be there too: an attempt may arrive after its sender gave up.
    assert LATER in queues.refs(Queue.INTERACTIVE)


async def test_a_server_that_is_down_is_a_delivery_error(queues: Queues) -> None:
    dispatcher = AzureQueueDispatcher(
        f"azq://{queues.prefix}?account=a&endpoint=http://127.0.0.1:9"
    )
    with pytest.raises(DeliveryError, match="TEAMRUN_QUEUE_URL"):
        await dispatcher.send(REFS[:1])
    await dispatcher.close()


async def test_a_shared_access_signature_reaches_the_queues(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", queues.server.sas())
    dispatcher = AzureQueueDispatcher(queues.url)
    await dispatcher.send(REFS[:1])
    assert queues.refs(Queue.INTERACTIVE) == REFS[:1]
    await dispatcher.close()


@pytest.mark.parametrize("client_id", [None, "11111111-2222-3333-4444-555555555555"])
async def test_a_managed_identity_reaches_the_queues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_id: str | None
) -> None:
    authority = Authority(tmp_path, "test")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_file))
    with azurite(authority=authority) as server, managed_identity() as ours:
        server.make_queue("runs-interactive")
        for name, value in ours.environ().items():
            monkeypatch.setenv(name, value)
        if client_id:
            monkeypatch.setenv("AZURE_CLIENT_ID", client_id)
        dispatcher = AzureQueueDispatcher(server.queue_url("runs"))
        for ref in REFS[:3]:
            await dispatcher.send([ref])
        await dispatcher.close()
        messages = server.request("GET", f"{server.queue_endpoint}/runs-interactive/messages")
        assert b"default.run_0" in messages
    (asked,) = ours.asked  # one token for all requests
    assert asked["resource"] == "https://storage.azure.com"
    assert asked.get("client_id") == client_id


async def test_without_credentials_the_error_names_them(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    for url in (queues.url, f"azq://{queues.prefix}?account=absent"):
        dispatcher = AzureQueueDispatcher(url)
        with pytest.raises(DeliveryError, match="AZURE_STORAGE_ACCOUNT_KEY"):
            await dispatcher.send(REFS[:1])
        await dispatcher.close()


async def test_a_malformed_key_is_not_repeated(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "canary")
    dispatcher = AzureQueueDispatcher(queues.url)
    with pytest.raises(DeliveryError, match="credentials") as caught:
        await dispatcher.send(REFS[:1])
    assert "canary" not in str(caught.value)
    await dispatcher.close()


def test_without_an_account_nothing_is_opened() -> None:
    with pytest.raises(UsageError, match="AZURE_STORAGE_ACCOUNT_NAME") as caught:
        AzureQueueDispatcher("azq://teamrun")
    assert caught.value.data["setting"] == "queue_url"


async def test_the_account_may_come_from_the_environment(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = f"account={queues.server.account}&"
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", queues.server.account)
    dispatcher: Any = AzureQueueDispatcher(queues.url.replace(account, ""))
    await dispatcher.send(REFS[:1])
    assert queues.refs(Queue.INTERACTIVE) == REFS[:1]
    await dispatcher.close()
