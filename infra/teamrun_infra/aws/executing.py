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
from teamrun.dispatch.sqs import SqsDispatcher
from teamrun.errors import UsageError
from teamrun.runtime import Runtime, open_runtime
from teamrun_infra.aws.instance import read_settings
from teamrun_infra.aws.settings import FunctionSettings

__all__ = ["Message", "batch_answer", "messages_of", "open_executing", "queues_of"]

logger = logging.getLogger(__name__)

_EXCERPT = 100


class Message(NamedTuple):
    """A message of SQS that names runs or deliveries."""

    id: str
    receipt: str
    queue: str
    """The name of its queue."""
    refs: Sequence[RunRef] = ()


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
    return Message(id, receipt, source.rpartition(":")[2], tuple(decode_refs(body)))


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
