"""The messages that functions on AWS receive, and what happens while SQS refuses them."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from tests.support.aws_faults import AwsFaults, Fault, aws_faults, denied, missing, throttled
from tests.support.services import Moto

from teamrun.core.refs import RunRef
from teamrun.dispatch.base import QueueDepth
from teamrun.dispatch.message import decode_refs
from teamrun.dispatch.queues import Queue
from teamrun.dispatch.sqs import SqsDispatcher
from teamrun.errors import DeliveryError, UsageError

pytestmark = pytest.mark.integration

REFS = [RunRef("default", f"run_{n}") for n in range(125)]


class Queues:
    """The three queues of a test, as the service sees them."""

    def __init__(self, moto: Moto, faults: AwsFaults) -> None:
        self.prefix = f"t{uuid.uuid4().hex}"
        self.faults = faults
        self._client: Any = boto3.client(
            "sqs",
            region_name=moto.region,
            endpoint_url=moto.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.urls = {
            queue: self._client.create_queue(QueueName=f"{self.prefix}-{queue}")["QueueUrl"]
            for queue in Queue
        }

    @property
    def url(self) -> str:
        return f"sqs://{self.prefix}?region=us-east-1&endpoint={self.faults.endpoint}"

    def bodies(self, queue: Queue) -> list[str]:
        found: list[str] = []
        while messages := self._client.receive_message(
            QueueUrl=self.urls[queue], MaxNumberOfMessages=10
        ).get("Messages"):
            found += [message["Body"] for message in messages]
        return found

    def refs(self, queue: Queue) -> list[RunRef]:
        return sorted(ref for body in self.bodies(queue) for ref in decode_refs(body))

    def delete(self, queue: Queue) -> None:
        self._client.delete_queue(QueueUrl=self.urls[queue])


@pytest.fixture(scope="module")
def faults_server(moto_server: Moto) -> Iterator[AwsFaults]:
    with aws_faults(moto_server.endpoint) as found:
        yield found


@pytest.fixture
def queues(
    moto_server: Moto, faults_server: AwsFaults, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Queues]:
    for name, value in moto_server.environ().items():
        monkeypatch.setenv(name, value)
    yield Queues(moto_server, faults_server)
    faults_server.faults.clear()
    faults_server.always.clear()
    faults_server.counts.clear()


@pytest.fixture
async def dispatcher(queues: Queues) -> AsyncGenerator[SqsDispatcher]:
    found = SqsDispatcher(queues.url)
    yield found
    await found.close()


async def test_an_interactive_message_names_one_run(
    queues: Queues, dispatcher: SqsDispatcher
) -> None:
    await dispatcher.send(REFS[:25], first=True)
    bodies = queues.bodies(Queue.INTERACTIVE)
    assert sorted(map(json.loads, bodies)) == sorted([str(ref)] for ref in REFS[:25])
    assert queues.faults.counts["SendMessageBatch"] == 3


@pytest.mark.parametrize("queue", [Queue.BATCH, Queue.HOOKS])
async def test_ten_runs_of_a_batch_share_a_message(
    queues: Queues, dispatcher: SqsDispatcher, queue: Queue
) -> None:
    await dispatcher.send(REFS, queue=queue)
    bodies = queues.bodies(queue)
    assert sorted(len(json.loads(body)) for body in bodies) == [5] + [10] * 12
    assert sorted(ref for body in bodies for ref in decode_refs(body)) == sorted(REFS)
    assert queues.faults.counts["SendMessageBatch"] == 2


@pytest.mark.parametrize(("hours", "seconds"), [(0, 0), (0.1, 360), (12, 900)])
async def test_a_message_may_be_delayed_for_a_quarter_of_an_hour(
    queues: Queues, dispatcher: SqsDispatcher, hours: float, seconds: int
) -> None:
    queues.faults.bodies.clear()
    await dispatcher.send_later(REFS[:1], queue=Queue.BATCH, delay=timedelta(hours=hours))
    [body] = queues.faults.bodies["SendMessageBatch"]
    [entry] = json.loads(body)["Entries"]
    assert entry["DelaySeconds"] == seconds
    assert queues.refs(Queue.BATCH) == ([] if seconds else REFS[:1])


async def test_nothing_is_sent_for_no_runs(queues: Queues, dispatcher: SqsDispatcher) -> None:
    await dispatcher.send([])
    assert not queues.faults.counts


async def test_the_address_of_a_queue_is_asked_for_once(
    queues: Queues, dispatcher: SqsDispatcher
) -> None:
    for ref in REFS[:3]:
        await dispatcher.send([ref])
    assert queues.faults.counts == {"GetQueueUrl": 1, "SendMessageBatch": 3}


async def test_depths_count_the_messages_of_each_queue(
    queues: Queues, dispatcher: SqsDispatcher
) -> None:
    assert isinstance(dispatcher, QueueDepth)
    await dispatcher.send(REFS[:3])
    await dispatcher.send(REFS[:11], queue=Queue.BATCH)
    assert await dispatcher.depths() == {"interactive": 3, "batch": 2}


@pytest.mark.parametrize("queue", Queue)
async def test_a_missing_queue_is_named_with_its_setting(
    queues: Queues, dispatcher: SqsDispatcher, queue: Queue
) -> None:
    queues.delete(queue)
    with pytest.raises(DeliveryError) as caught:
        await dispatcher.send(REFS[:1], queue=queue)
    assert f"{queues.prefix}-{queue}" in str(caught.value)
    assert "TEAMRUN_QUEUE_URL" in str(caught.value)
    assert not caught.value.data.get("retryable")


@pytest.mark.parametrize(
    ("operation", "fault", "mentions"),
    [
        ("GetQueueUrl", missing, "TEAMRUN_QUEUE_URL"),
        ("SendMessageBatch", missing, "TEAMRUN_QUEUE_URL"),
        ("GetQueueUrl", denied, "sqs:GetQueueUrl"),
        ("SendMessageBatch", denied, "sqs:SendMessage "),
        ("SendMessageBatch", Fault(403, b"<html>"), "sqs:SendMessage "),
        (
            "SendMessageBatch",
            Fault(400, {"__type": "com.amazonaws.sqs#KmsDisabled"}),
            "KmsDisabled",
        ),
        ("SendMessageBatch", Fault(400, b"nonsense"), "TEAMRUN_QUEUE_URL"),
        ("SendMessageBatch", Fault(200, b"[]"), "TEAMRUN_QUEUE_URL"),
    ],
)
async def test_a_refusal_is_not_repeated_and_has_its_remedy(
    queues: Queues, dispatcher: SqsDispatcher, operation: str, fault: Fault, mentions: str
) -> None:
    queues.faults.faults[operation].append(fault)
    with pytest.raises(DeliveryError) as caught:
        await dispatcher.send(REFS[:1])
    assert mentions in str(caught.value)
    assert queues.faults.counts[operation] == 1
    await dispatcher.send(REFS[:1])
    assert queues.refs(Queue.INTERACTIVE) == REFS[:1]


@pytest.mark.parametrize(
    "fault",
    [
        throttled,
        Fault(400, {"__type": "com.amazonaws.sqs#OverLimit"}),
        Fault(429, {"__type": "ThrottlingException"}),
        Fault(500, {"__type": "InternalFailure"}),
        Fault(503, b""),
        Fault(200, b"cut off"),
        Fault(200, {"Successful": [{}]}),
        Fault(200, {"Successful": [{"Id": "9"}], "Failed": None}),
        Fault(200, {"Successful": None, "Failed": [{}]}),
    ],
)
async def test_a_transient_refusal_is_repeated(
    queues: Queues, dispatcher: SqsDispatcher, fault: Fault
) -> None:
    for operation in ("GetQueueUrl", "SendMessageBatch"):
        queues.faults.faults[operation] += [fault, fault]
    await dispatcher.send(REFS[:1])
    assert queues.refs(Queue.INTERACTIVE) == REFS[:1]


async def test_only_the_refused_messages_of_a_request_are_repeated(
    queues: Queues, dispatcher: SqsDispatcher
) -> None:
    queues.faults.faults["SendMessageBatch"].append(
        Fault(
            body={
                "Successful": [{"Id": "0", "MessageId": "m", "MD5OfMessageBody": "x"}],
                "Failed": [{"Id": "1", "Code": "InternalError", "SenderFault": False}],
            }
        )
    )
    await dispatcher.send(REFS[:3])
    assert queues.refs(Queue.INTERACTIVE) == REFS[1:3]


async def test_a_message_that_sqs_does_not_want_is_an_error(
    queues: Queues, dispatcher: SqsDispatcher
) -> None:
    failed = {"Id": "1", "Code": "InvalidMessageContents", "SenderFault": True}
    queues.faults.faults["SendMessageBatch"].append(
        Fault(body={"Successful": [], "Failed": [failed]})
    )
    with pytest.raises(DeliveryError, match="InvalidMessageContents"):
        await dispatcher.send(REFS[:3])
    assert queues.faults.counts["SendMessageBatch"] == 1


async def test_one_refused_request_of_several_is_an_error_and_the_others_are_sent(
    queues: Queues, dispatcher: SqsDispatcher
) -> None:
    queues.faults.faults["SendMessageBatch"].append(denied)
    with pytest.raises(DeliveryError):
        await dispatcher.send(REFS[:30])
    assert len(queues.refs(Queue.INTERACTIVE)) == 20


@pytest.mark.parametrize("fault", [throttled, Fault(hangs=True)], ids=["throttles", "hangs"])
async def test_sqs_that_does_not_accept_in_time_is_a_delivery_error(
    queues: Queues, dispatcher: SqsDispatcher, fault: Fault
) -> None:
    await dispatcher.send(REFS[:1])
    queues.faults.always["SendMessageBatch"] = fault
    async with asyncio.timeout(5):
        with pytest.raises(DeliveryError) as caught:
            await dispatcher.send(REFS[1:2])
    assert caught.value.data["retryable"]
    queues.faults.always.clear()
    await dispatcher.send(REFS[2:3])
    # What was refused may be there too: an attempt may arrive after its sender gave up.
    assert REFS[2] in queues.refs(Queue.INTERACTIVE)


async def test_a_server_that_is_down_is_a_delivery_error(queues: Queues) -> None:
    dispatcher = SqsDispatcher(
        f"sqs://{queues.prefix}?region=us-east-1&endpoint=http://127.0.0.1:9"
    )
    with pytest.raises(DeliveryError, match="TEAMRUN_QUEUE_URL"):
        await dispatcher.send(REFS[:1])
    await dispatcher.close()


async def test_without_credentials_the_error_names_the_variables(
    queues: Queues, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    _without_configuration(monkeypatch, tmp_path)
    dispatcher = SqsDispatcher(queues.url)
    with pytest.raises(DeliveryError, match="AWS_ACCESS_KEY_ID"):
        await dispatcher.send(REFS[:1])
    await dispatcher.close()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "only-this")
    dispatcher = SqsDispatcher(queues.url)
    with pytest.raises(DeliveryError, match="AWS_SECRET_ACCESS_KEY"):
        await dispatcher.send(REFS[:1])
    await dispatcher.close()


async def test_an_unknown_profile_is_an_error(
    queues: Queues, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    _without_configuration(monkeypatch, tmp_path)
    monkeypatch.setenv("AWS_PROFILE", "absent")
    dispatcher = SqsDispatcher(queues.url)
    with pytest.raises(DeliveryError, match="ProfileNotFound"):
        await dispatcher.send(REFS[:1])
    await dispatcher.close()


def test_without_a_region_nothing_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    _without_configuration(monkeypatch, tmp_path)
    with pytest.raises(UsageError, match="AWS_REGION") as caught:
        SqsDispatcher("sqs://teamrun")
    assert caught.value.data["setting"] == "queue_url"


@pytest.mark.parametrize("source", ["AWS_REGION", "AWS_DEFAULT_REGION", "profile"])
async def test_the_region_may_come_from_the_environment(
    queues: Queues, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, source: str
) -> None:
    _without_configuration(monkeypatch, tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    if source == "profile":
        (tmp_path / "config").write_text("[default]\nregion = us-east-1\n", encoding="utf-8")
    else:
        monkeypatch.setenv(source, "us-east-1")
    dispatcher = SqsDispatcher(queues.url.replace("region=us-east-1&", ""))
    await dispatcher.send(REFS[:1])
    assert queues.refs(Queue.INTERACTIVE) == REFS[:1]
    await dispatcher.close()


def _without_configuration(monkeypatch: pytest.MonkeyPatch, folder: Any) -> None:
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
