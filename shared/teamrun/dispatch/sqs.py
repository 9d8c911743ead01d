"""Sends hints to Amazon SQS, whose messages trigger functions of AWS Lambda.

There is one standard queue for each member of `Queue`. boto3 is a part of Lambda's Python runtime;
its blocking calls run in threads of the dispatcher.
"""

import asyncio
import math
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from teamrun.core.optional import require
from teamrun.core.refs import RunRef
from teamrun.dispatch.address import QueueAddress, read_queue_url
from teamrun.dispatch.message import REFS_PER_MESSAGE, encode_refs
from teamrun.dispatch.patience import PATIENCE_S, persist
from teamrun.dispatch.queues import RUN_QUEUES, Queue
from teamrun.errors import DeliveryError, UsageError
from teamrun.json_types import JsonObject
from teamrun.storage.aws import read_profile

__all__ = ["SqsDispatcher", "SqsLink"]

T = TypeVar("T")

_THREADS = 10
_ENTRIES = 10
"""Maximum number of messages in one request.
Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""

_LONGEST = timedelta(minutes=15)
"""The longest time that SQS delays a new message.
Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatchRequestEntry.html"""

_MISSING = {"NonExistentQueue", "QueueDoesNotExist"}
_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_THROTTLED = {
    "KmsThrottled",
    "OverLimit",
    "RequestThrottled",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}


class SqsLink:
    """Makes requests to SQS, with the same sources of credentials as the AWS tools.

    Args:
        region: The region; by default that of `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile.
        endpoint: The server, if it is not Amazon's; by default that of `AWS_ENDPOINT_URL_SQS`.

    Raises:
        UsageError: The region is unknown.
        MissingPackage: boto3 is not installed.
    """

    def __init__(self, *, region: str | None = None, endpoint: str | None = None) -> None:
        require("boto3", extra="aws", needed_by="A queue in SQS", lowest=(1, 40))
        self._region = region or _region()
        self._endpoint = endpoint
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="teamrun-sqs")
        self._opening = threading.Lock()
        self._opened: Any = None
        self._urls: dict[str, str] = {}

    async def hide(self, receipt: str, *, queue: str, seconds: int) -> None:
        """Set when a message that a function has received is delivered again.

        Args:
            receipt: The receipt handle of the message.
            queue: The name of its queue.
            seconds: From now; 0 is at once.

        Raises:
            DeliveryError: SQS refused it, or did not respond within 2 seconds.
        """

        async def attempt() -> None:
            await self.call(
                "change_message_visibility",
                queue=queue,
                ReceiptHandle=receipt,
                VisibilityTimeout=seconds,
            )

        await self.persist(attempt)

    async def call(self, operation: str, *, queue: str, **arguments: Any) -> JsonObject:
        """Make one request about a queue; see `persist` for repeating it.

        Args:
            operation: The name of a method of boto3's client, such as `send_message_batch`.
            queue: The name of the queue, whose URL is asked for once.
            arguments: Those of the method, besides `QueueUrl`.

        Raises:
            DeliveryError: SQS refused it, or does not respond; `data["retryable"]` says whether
                the same request may succeed soon.
        """
        if queue not in self._urls:
            found = await self._request("get_queue_url", queue, QueueName=queue)
            if not (url := found.get("QueueUrl")):
                raise DeliveryError(
                    f"SQS answered without the URL of the queue {queue!r}: check the endpoint of "
                    "TEAMRUN_QUEUE_URL.",
                    retryable=True,
                )
            self._urls[queue] = url
        return await self._request(operation, queue, QueueUrl=self._urls[queue], **arguments)

    async def _request(self, operation: str, queue: str, **arguments: Any) -> JsonObject:
        act = partial(self._call, operation, arguments)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, act)
        except Exception as error:
            raise self._mapped(error, operation, queue) from error

    async def persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeat an attempt until it succeeds, fails permanently, or has taken 2 seconds.

        Importing boto3 and reading the credentials, once per process, does not count.

        Raises:
            DeliveryError: It failed.
        """
        await self.open()
        return await persist(
            attempt,
            silence="SQS did not respond within 2 seconds: check the network, and the region and "
            "the endpoint of TEAMRUN_QUEUE_URL.",
        )

    async def open(self) -> None:
        """Make the client, if that has not been done; at the start of a function it costs least.

        Raises:
            DeliveryError: The AWS profile or the credentials are incomplete.
        """
        if self._opened is None:
            try:
                await asyncio.get_running_loop().run_in_executor(self._threads, self._client)
            except Exception as error:
                raise self._mapped(error, "open", "") from error

    async def close(self) -> None:
        """Release the threads; requests in flight complete on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _call(self, operation: str, arguments: JsonObject) -> JsonObject:
        return getattr(self._client(), operation)(**arguments)

    def _client(self) -> Any:
        with self._opening:  # boto3's sessions may not be shared between threads, its clients may
            if self._opened is None:
                from boto3.session import Session
                from botocore.config import Config

                config = Config(
                    connect_timeout=PATIENCE_S,
                    read_timeout=PATIENCE_S,
                    retries={"total_max_attempts": 1},
                    max_pool_connections=_THREADS,
                )
                session: Any = Session(region_name=self._region)
                self._opened = session.client("sqs", endpoint_url=self._endpoint, config=config)
            return self._opened

    def _mapped(self, error: Exception, operation: str, queue: str) -> DeliveryError:
        from botocore import exceptions as botocore

        if isinstance(error, botocore.ClientError):
            return self._refused(error, operation, queue)
        if isinstance(error, botocore.HTTPClientError):
            return DeliveryError(
                f"SQS does not respond ({type(error).__name__}): check the network, and the region "
                "and the endpoint of TEAMRUN_QUEUE_URL.",
                retryable=True,
            )
        if isinstance(error, botocore.NoCredentialsError | botocore.PartialCredentialsError):
            return DeliveryError(
                "There are no complete AWS credentials for the queues (TEAMRUN_QUEUE_URL): set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine "
                "or the function a role."
            )
        # Not the text of the error: it may repeat lines of a file of secrets.
        return DeliveryError(
            f"The request {operation!r} could not be made ({type(error).__name__}): check "
            "TEAMRUN_QUEUE_URL and the AWS configuration."
        )

    def _refused(self, error: Any, operation: str, queue: str) -> DeliveryError:
        code = str(error.response.get("Error", {}).get("Code", "")).rpartition(".")[2]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        data = {"reason": code, "queue": queue}
        if code in _MISSING:
            return DeliveryError(
                f"The SQS queue {queue!r} does not exist in {self._region}: create it, or correct "
                "TEAMRUN_QUEUE_URL.",
                **data,
            )
        if code in _DENIED or status == 403:
            action = "".join(map(str.title, operation.split("_"))).removesuffix("Batch")
            return DeliveryError(
                f"AWS denied {action} on the SQS queue {queue!r} ({code}): check the credentials, "
                f"and allow sqs:{action} in the policy of their user or role.",
                **data,
            )
        if code in _THROTTLED or status == 429 or status >= 500:
            return DeliveryError(
                f"SQS throttles or fails requests to the queue {queue!r} ({code}): they are "
                "retried. If it persists, request a higher quota of SQS, or send less at a time.",
                retryable=True,
                **data,
            )
        return DeliveryError(
            f"SQS refused {operation!r} on the queue {queue!r} ({code}): check the queue that "
            "TEAMRUN_QUEUE_URL names.",
            **data,
        )


class SqsDispatcher:
    """Implements `Dispatcher` with a standard queue of SQS for each member of `Queue`.

    Args:
        address: The queues, as a URL or as a parsed address.

    Raises:
        UsageError: The URL is invalid, or the region is unknown.
        MissingPackage: boto3 is not installed.
    """

    def __init__(self, address: str | QueueAddress) -> None:
        self._address = read_queue_url(address) if isinstance(address, str) else address
        options = self._address.options
        self.link = SqsLink(region=options.get("region"), endpoint=options.get("endpoint"))

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        """Ask functions to execute the runs.

        Args:
            refs: The runs. A message names one of them, or ten if the queue is that of batches.
            queue: The queue to send them on.
            first: Ignored: a standard queue has no order.

        Raises:
            DeliveryError: SQS did not accept a message within 2 seconds. The error names the
                setting to correct; `data["retryable"]` says whether trying again may help.
        """
        await self.send_later(refs, queue=queue, delay=timedelta())

    async def send_later(self, refs: Sequence[RunRef], *, queue: Queue, delay: timedelta) -> None:
        """Ask functions to execute the runs after some time, of at most 15 minutes.

        Raises:
            DeliveryError: As for `send`.
        """
        size = REFS_PER_MESSAGE[queue]
        bodies = [encode_refs(refs[at : at + size]) for at in range(0, len(refs), size)]
        requests = [bodies[at : at + _ENTRIES] for at in range(0, len(bodies), _ENTRIES)]
        delayed = math.ceil(min(delay, _LONGEST).total_seconds())
        places = asyncio.Semaphore(_THREADS)

        async def send(part: Sequence[str]) -> None:
            async with places:
                await self._send(part, queue, delayed)

        outcomes = await asyncio.gather(*map(send, requests), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def depths(self) -> dict[str, int]:
        """The approximate number of messages that wait for a function, by queue.

        Raises:
            DeliveryError: SQS refused, or does not respond.
        """
        counts = await asyncio.gather(
            *(self.link.persist(partial(self._count, queue)) for queue in RUN_QUEUES)
        )
        return dict(zip(map(str, RUN_QUEUES), counts, strict=True))

    async def close(self) -> None:
        """Release the threads."""
        await self.link.close()

    async def _send(self, bodies: Sequence[str], queue: Queue, delayed: int) -> None:
        name = self._address.name_of(queue)
        left = {str(place): body for place, body in enumerate(bodies)}

        async def attempt() -> None:
            entries = [
                {"Id": place, "MessageBody": body, "DelaySeconds": delayed}
                for place, body in left.items()
            ]
            answer = await self.link.call("send_message_batch", queue=name, Entries=entries)
            for sent in answer.get("Successful") or ():
                left.pop(sent.get("Id"), None)
            if left:
                raise _not_accepted(answer.get("Failed") or (), name)

        await self.link.persist(attempt)

    async def _count(self, queue: Queue) -> int:
        name = "ApproximateNumberOfMessages"
        answer = await self.link.call(
            "get_queue_attributes", queue=self._address.name_of(queue), AttributeNames=[name]
        )
        return int(answer["Attributes"][name])


def _not_accepted(failed: Sequence[JsonObject], name: str) -> DeliveryError:
    """The error for messages that an answer does not list as accepted."""
    codes = sorted({str(each.get("Code", "unknown")) for each in failed}) or ["not in the answer"]
    is_ours = any(each.get("SenderFault") for each in failed)
    return DeliveryError(
        f"SQS did not accept {len(failed) or 'some'} messages for the queue {name!r} "
        f"({', '.join(codes)}): check the queue's settings.",
        queue=name,
        retryable=not is_ours,
    )


def _region() -> str:
    profile = read_profile(os.environ)
    region = (
        os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or (profile.region if profile else None)
    )
    if region is None:
        raise UsageError(
            "The AWS region of the queues (TEAMRUN_QUEUE_URL) is unknown: add "
            "?region=eu-central-1 to the URL, or set AWS_REGION.",
            setting="queue_url",
        )
    return region
