"""What the Lambda service does with functions: instances, event source mappings and schedules.

The queues are those of a moto server.
"""

import json
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.lambda_sandbox import Failed, Sandbox, Specification
from tests.support.service import until

__all__ = ["Failed", "Function", "Mapping", "Schedule", "Specification", "failed_items"]

_WARM_S = 60.0
"""The time limit of an invocation that only opens the runtime, on a busy machine."""


@dataclass
class Function:
    """A function and its instances; an instance executes one event at a time."""

    of: Specification
    errors: list[str] = field(default_factory=list[str])
    """Of the invocations that failed."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    sandboxes: list[Sandbox] = field(default_factory=list[Sandbox])

    def __post_init__(self) -> None:
        self._places = threading.Semaphore(self.of.most)

    @property
    def invocations(self) -> int:
        return sum(sandbox.invocations for sandbox in self.sandboxes)

    def invoke(self, event: Any) -> Any:
        """The answer of an idle instance, or of a new one.

        Raises:
            Failed: There is none.
        """
        with self._places:
            sandbox = self._take()
            try:
                return sandbox.invoke(event)
            except Failed as error:
                self.errors.append(str(error))
                raise
            finally:
                sandbox.is_busy = False

    def warm(self, event: Any) -> None:
        """Start all instances that there may be, with an event for each."""
        with self._lock:
            fresh = [Sandbox(self.of, n) for n in range(len(self.sandboxes), self.of.most)]
            self.sandboxes += fresh
        for sandbox in fresh:
            sandbox.invoke(event, timeout_s=_WARM_S)

    def await_end(self) -> None:
        """Wait until each invocation that is in progress has ended."""
        busy = {each.number: each.invocations for each in self.sandboxes if each.is_busy}
        until(
            lambda: (
                not any(
                    each.is_busy and each.invocations == busy.get(each.number)
                    for each in self.sandboxes
                )
            ),
            "the invocations in progress have ended",
        )

    def kill(self) -> int:
        """Kill every instance that executes an event; their number."""
        busy = [sandbox for sandbox in self.sandboxes if sandbox.is_busy]
        for sandbox in busy:
            sandbox.kill()
        return len(busy)

    def terminate(self) -> int:
        """Tell every instance that executes an event to end; their number."""
        busy = [sandbox for sandbox in self.sandboxes if sandbox.is_busy]
        for sandbox in busy:
            sandbox.terminate()
        return len(busy)

    @contextmanager
    def overtaken(self) -> Generator[None]:
        """Stop every instance that executes an event; at the end of the context they go on.

        Meanwhile their invocations time out, and others take their places.
        """
        silent = [sandbox for sandbox in self.sandboxes if sandbox.is_busy]
        for sandbox in silent:
            sandbox.freeze()
        yield
        for sandbox in silent:
            sandbox.thaw()

    def close(self) -> None:
        """End all instances."""
        for sandbox in self.sandboxes:
            sandbox.close()

    def _take(self) -> Sandbox:
        with self._lock:
            sandbox = next((each for each in self.sandboxes if not each.is_busy), None)
            if sandbox is None:
                sandbox = Sandbox(self.of, len(self.sandboxes))
                self.sandboxes.append(sandbox)
            sandbox.is_busy = True
            return sandbox


def failed_items(answer: Any, ids: set[str]) -> set[str]:
    """The messages that an answer reports as failed; all of them if it is malformed.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    if isinstance(answer, str):
        return ids
    if not answer or answer.get("batchItemFailures", []) in (None, []):
        return set() if not answer or "batchItemFailures" in answer else ids
    items = answer["batchItemFailures"]
    found = {item.get("itemIdentifier") for item in items}
    return found if found <= ids else ids


@dataclass
class Mapping:
    """An event source mapping with `ReportBatchItemFailures`."""

    sqs: Any
    queue_url: str
    queue_arn: str
    function: Function
    batch_size: int = 1
    most: int = 2
    """Maximum concurrency."""
    alter: Callable[[Any], Any] = lambda answer: answer
    """Changes the answers of the function, for faults."""
    bodies: list[str] = field(default_factory=list[str])
    """Of the messages that were received."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(self.most + 1)
        self._places = threading.Semaphore(self.most)
        self._poller = threading.Thread(target=self._poll)

    def start(self) -> None:
        self._poller.start()

    def close(self) -> None:
        """Take no more messages, and wait for those in progress."""
        self._stop.set()
        self._poller.join(timeout=60)
        self._pool.shutdown()

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._places.acquire()
            found = self._receive()
            if found:
                self._pool.submit(self._invoke, found)
            else:
                self._places.release()
                self._stop.wait(0.2)

    def _receive(self) -> list[dict[str, Any]]:
        try:
            answer = self.sqs.receive_message(
                QueueUrl=self.queue_url,
                MaxNumberOfMessages=self.batch_size,
                AttributeNames=["All"],
            )
        except Exception:
            if self._stop.is_set():
                return []
            raise
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        self.bodies += [message["Body"] for message in messages]
        return messages

    def _invoke(self, messages: list[dict[str, Any]]) -> None:
        try:
            answer = self.alter(self.function.invoke(self.event(messages)))
        except Failed:
            return  # the messages come back after the visibility timeout
        finally:
            self._places.release()
        failed = failed_items(answer, {message["MessageId"] for message in messages})
        for message in messages:
            if message["MessageId"] not in failed:
                self.sqs.delete_message(
                    QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"]
                )

    def event(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """The event of messages."""
        return {
            "Records": [
                {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "attributes": message.get("Attributes", {}),
                    "messageAttributes": {},
                    "md5OfBody": message["MD5OfBody"],
                    "eventSource": "aws:sqs",
                    "eventSourceARN": self.queue_arn,
                    "awsRegion": "us-east-1",
                }
                for message in messages
            ]
        }


TICK: dict[str, Any] = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-11-29T12:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:events:us-east-1:123456789012:rule/teamrun-upkeep"],
    "detail": {},
}


@dataclass
class Schedule:
    """A schedule of EventBridge; the next event waits for the end of the last."""

    function: Function
    interval_s: float = 2.0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=60)

    def _tick(self) -> None:
        event = json.loads(json.dumps(TICK))
        while not self._stop.wait(self.interval_s):
            try:
                self.function.invoke(event)
            except Failed:
                continue
