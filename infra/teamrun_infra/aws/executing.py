"""What the functions that execute runs have in common: their runtime, and messages of SQS."""

import hashlib
import logging
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple, cast

from teamrun.core.refs import RunRef
from teamrun.dispatch.message import decode_refs
from teamrun.dispatch.queues import RUN_QUEUES, Queue
from teamrun.dispatch.sqs import SqsDispatcher
from teamrun.errors import UsageError
from teamrun.runtime import Runtime, open_runtime
from teamrun_infra.aws.instance import read_settings
from teamrun_infra.aws.settings import FunctionSettings

__all__ = ["Message", "batch_answer", "messages_of", "open_executing", "queues_of"]

logger = logging.getLogger(__name__)

_EXCERPT = 100
_LONGEST_DELAY = timedelta(minutes=1)


class Message(NamedTuple):
    """A message of SQS that names runs or deliveries."""

    id: str
    receipt: str
    queue: str
    """The name of its queue."""
    refs: Sequence[RunRef] = ()
    waited: timedelta = timedelta()
    """From when it was sent until it was received for the first time."""

    def runs_on(self) -> Queue:
        """The queue for a new message about its runs."""
        name = self.queue.rpartition("-")[2]
        if name in RUN_QUEUES:
            return Queue(name)
        logger.error(
            "A message came from a queue that is none of the deployment's; new ones about its runs "
            "are sent to the queue `interactive`",
            extra={"action": "function.queue_unknown", "queue": self.queue, "message_id": self.id},
        )
        return Queue.INTERACTIVE

    def delay(self, pause: timedelta) -> timedelta:
        """The delay of a new message about a run that is to be tried again after a pause.

        At least twice as long as this message has waited, up to a minute. Otherwise the message of
        a run that another instance has would come every second if the lease is short.
        """
        return max(pause, min(2 * self.waited, _LONGEST_DELAY)) if pause else pause


@asynccontextmanager
async def open_executing() -> AsyncGenerator[Runtime]:
    """The runtime of a function that executes runs.

    Raises:
        UsageError: A setting or the operator's file is invalid, or the store cannot be used.
        StorageError: The store cannot be opened.
    """
    settings = read_settings(FunctionSettings)
    opening = open_runtime(
        settings,
        environ=os.environ,
        executes=True,
        grace=timedelta(),
        reachable_by="its queue in AWS",
        is_frozen=True,
    )
    async with opening as runtime:
        queues_of(runtime)
        yield runtime


def queues_of(runtime: Runtime) -> SqsDispatcher:
    """The queues of a runtime.

    Raises:
        UsageError: They are not in SQS.
    """
    if not isinstance(runtime.dispatcher, SqsDispatcher):
        raise UsageError(
            "TEAMRUN_QUEUE_URL must be sqs://PREFIX for functions of AWS Lambda that execute runs.",
            setting="queue_url",
        )
    return runtime.dispatcher


def messages_of(event: object) -> list[Message]:
    """The messages of an event of SQS that name something.

    Another message is logged and counts as done: it would fail in every attempt.
    Source: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event

    Raises:
        UsageError: The event is not one of SQS.
    """
    records = _fields(event).get("Records")
    if not isinstance(records, list):
        raise UsageError(
            "The event is not one of SQS: connect the function to its queue with an event source "
            "mapping."
        )
    found: list[Message] = []
    for record in map(_fields, cast("list[object]", records)):
        try:
            found.append(_message(record))
        except ValueError as error:
            _log_malformed(record, error)
    return found


def _message(record: Mapping[str, object]) -> Message:
    names = ("messageId", "receiptHandle", "eventSourceARN", "body")
    texts = [text for name in names if isinstance(text := record.get(name), str) and text]
    if len(texts) < len(names):
        raise ValueError(f"a record of SQS has the texts {', '.join(names)}")
    id, receipt, source, body = texts
    refs, waited = tuple(decode_refs(body)), _waited(_fields(record.get("attributes")))
    return Message(id, receipt, source.rpartition(":")[2], refs, waited)


def _waited(attributes: Mapping[str, object]) -> timedelta:
    # Texts, in milliseconds.
    times = [attributes.get(name) for name in ("SentTimestamp", "ApproximateFirstReceiveTimestamp")]
    try:
        sent, received = (int(str(each)) for each in times)
        return max(timedelta(milliseconds=received - sent), timedelta())
    except (ValueError, OverflowError):
        return timedelta()


def _fields(document: object) -> Mapping[str, object]:
    return cast("dict[str, object]", document) if isinstance(document, dict) else {}


def batch_answer(failed: Sequence[Message]) -> dict[str, list[dict[str, str]]]:
    """The answer that makes SQS keep some messages and delete the others.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    return {"batchItemFailures": [{"itemIdentifier": message.id} for message in failed]}


def _log_malformed(record: Mapping[str, object], error: ValueError) -> None:
    body = str(record.get("body"))
    logger.error(
        "A message was dropped because it names no runs",
        extra={
            "action": "function.message_malformed",
            "error": str(error)[:_EXCERPT],
            "message_id": record.get("messageId"),
            "queue": record.get("eventSourceARN"),
            "sender": _fields(record.get("attributes")).get("SenderId"),
            "size": len(body),
            "sha256": hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest(),
        },
    )
