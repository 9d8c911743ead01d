"""Sends hints to Azure Storage Queues, whose messages trigger Azure Functions.

There is one queue for each member of `Queue`. Microsoft's client takes 0.25 s to import, and 3 MB
beside `azure-identity`, which obtains its tokens. A client of our own would have to sign requests,
too. Its blocking calls run in threads of the dispatcher; its coroutines would need aiohttp.
"""

import asyncio
import os
import re
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from teamrun.core.optional import require
from teamrun.core.refs import RunRef
from teamrun.dispatch.address import QueueAddress, read_queue_url
from teamrun.dispatch.message import REFS_PER_MESSAGE, encode_refs
from teamrun.dispatch.patience import PATIENCE_S, persist
from teamrun.dispatch.queues import RUN_QUEUES, Queue
from teamrun.errors import DeliveryError, UsageError

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError

__all__ = ["AzureQueueDispatcher"]

T = TypeVar("T")

_THREADS = 10
_KEYS = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY")
_SIGNATURES = ("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY")
"""The names that the `az://` store takes, so that one set of variables serves both."""

_LONGEST = timedelta(days=7)
"""The longest time that a message can be hidden.
Source: https://learn.microsoft.com/en-us/rest/api/storageservices/put-message"""

_SILENCE = (
    "The Azure queues did not respond within 2 seconds: check the network, and the account and the "
    "endpoint of TEAMRUN_QUEUE_URL."
)


class AzureQueueDispatcher:
    """Implements `Dispatcher` with a queue of Azure Storage for each member of `Queue`.

    The credentials are those of an `az://` store: `AZURE_STORAGE_ACCOUNT_KEY` or
    `AZURE_STORAGE_SAS_TOKEN`, and else those that `DefaultAzureCredential` finds, such as the
    managed identity of the function.

    Args:
        address: The queues, as a URL or as a parsed address.

    Raises:
        UsageError: The URL is invalid, or the account is unknown.
        MissingPackage: azure-storage-queue is not installed.
    """

    def __init__(self, address: str | QueueAddress) -> None:
        require(
            "azure-storage-queue",
            extra="azure-queue",
            needed_by="A queue in Azure Storage",
            lowest=(12, 18),
        )
        self._address = read_queue_url(address) if isinstance(address, str) else address
        self._account = _account(self._address)
        self._endpoint = self._address.options.get(
            "endpoint", f"https://{self._account}.queue.core.windows.net"
        )
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="teamrun-azq")
        self._opening = threading.Lock()
        self._service: Any = None

    async def send(
        self, refs: Sequence[RunRef], *, queue: Queue = Queue.INTERACTIVE, first: bool = False
    ) -> None:
        """Ask functions to execute the runs.

        Args:
            refs: The runs. A message names one of them, or ten if the queue is that of batches.
            queue: The queue to send them on.
            first: Ignored: functions receive messages in no order.

        Raises:
            DeliveryError: A queue did not accept a message within 2 seconds. The error names the
                setting to correct; `data["retryable"]` says whether trying again may help.
        """
        await self.send_later(refs, queue=queue, delay=timedelta())

    async def send_later(self, refs: Sequence[RunRef], *, queue: Queue, delay: timedelta) -> None:
        """Ask functions to execute the runs after some time, of at most seven days.

        Raises:
            DeliveryError: As for `send`.
        """
        size = REFS_PER_MESSAGE[queue]
        bodies = [encode_refs(refs[at : at + size]) for at in range(0, len(refs), size)]
        hidden = round(min(delay, _LONGEST).total_seconds())
        places = asyncio.Semaphore(_THREADS)

        failures: list[DeliveryError] = []

        async def put(body: str) -> None:
            async with places:
                if failures:
                    return  # the others would take two seconds each
                try:
                    await self._call(
                        queue, lambda client: client.send_message(body, visibility_timeout=hidden)
                    )
                except DeliveryError as error:
                    failures.append(error)

        if bodies:
            await self._open()
            await asyncio.gather(*map(put, bodies))
        if failures:
            raise failures[0]

    async def depths(self) -> dict[str, int]:
        """The approximate number of messages in each queue, including those in execution.

        Raises:
            DeliveryError: A queue refused, or does not respond.
        """
        await self._open()
        counts = await asyncio.gather(*map(self._count, RUN_QUEUES))
        return dict(zip(map(str, RUN_QUEUES), counts, strict=True))

    async def close(self) -> None:
        """Release the connections and the threads; requests in flight complete on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._service is not None:
            self._service.close()

    async def _count(self, queue: Queue) -> int:
        found = await self._call(queue, lambda client: client.get_queue_properties())
        return int(found.approximate_message_count or 0)

    async def _open(self) -> None:
        """Import the client, once for each process; that does not count as time of a request."""
        await self._in_thread(self._client, Queue.INTERACTIVE)

    async def _call(self, queue: Queue, act: Callable[[Any], T]) -> T:
        async def attempt() -> T:
            try:
                return await self._in_thread(lambda: act(self._client(queue)))
            except DeliveryError:
                raise
            except Exception as error:
                raise _mapped(error, self._address.name_of(queue)) from error

        return await persist(attempt, silence=_SILENCE)

    def _in_thread(self, act: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, partial(act, *arguments))

    def _client(self, queue: Queue) -> Any:
        with self._opening:
            if self._service is None:
                self._service = _open(self._account, self._endpoint)
            return self._service.get_queue_client(self._address.name_of(queue))


def _account(address: QueueAddress) -> str:
    account = address.options.get("account") or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    if not account:
        raise UsageError(
            "The storage account of the queues (TEAMRUN_QUEUE_URL) is unknown: add ?account=NAME "
            "to the URL, or set AZURE_STORAGE_ACCOUNT_NAME.",
            setting="queue_url",
        )
    return account


def _open(account: str, endpoint: str) -> Any:
    """A client for all queues.

    Raises:
        DeliveryError: It cannot be made.
    """
    from azure.storage.queue import QueueServiceClient

    try:
        return QueueServiceClient(
            endpoint,
            credential=_credential(account, os.environ),
            retry_total=0,
            connection_timeout=PATIENCE_S,
            read_timeout=PATIENCE_S,
        )
    except ValueError:
        # Not the text of the error: it may repeat a part of a key.
        raise DeliveryError(
            "The client of the Azure queues cannot be made: a managed identity needs an endpoint "
            "with https:// (TEAMRUN_QUEUE_URL), and without it set AZURE_STORAGE_ACCOUNT_KEY."
        ) from None


def _credential(account: str, environ: Mapping[str, str]) -> Any:
    if key := _first(environ, _KEYS):
        return {"account_name": account, "account_key": key}
    if signature := _first(environ, _SIGNATURES):
        return signature
    require("azure-identity", extra="azure-queue", needed_by="A queue in Azure Storage")
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


def _first(environ: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((value for name in names if (value := environ.get(name))), None)


def _mapped(error: Exception, name: str) -> DeliveryError:
    from azure.core import exceptions as azure

    match error:
        case azure.ClientAuthenticationError() | azure.HttpResponseError(status_code=403):
            return _denied(error, name)
        case azure.HttpResponseError():
            return _refused(error, name)
        case azure.ServiceRequestError() | azure.ServiceResponseError():
            return DeliveryError(
                f"The Azure queue {name!r} does not respond ({type(error).__name__}): check the "
                "network, and the account and the endpoint of TEAMRUN_QUEUE_URL.",
                retryable=True,
                queue=name,
            )
        case _:
            # Not the text of the error: it may repeat a part of a key.
            return DeliveryError(
                f"The request to the Azure queue {name!r} could not be made "
                f"({type(error).__name__}): check TEAMRUN_QUEUE_URL and the credentials.",
                queue=name,
            )


def _denied(error: Exception, name: str) -> DeliveryError:
    code = _code(error)
    if code == "unknown":  # no response of the storage account: there is no token to send
        return DeliveryError(
            "There are no credentials for the Azure queues (TEAMRUN_QUEUE_URL): give the function "
            "or the machine a managed identity, or set AZURE_STORAGE_ACCOUNT_KEY.",
            queue=name,
        )
    return DeliveryError(
        f"Azure denied access to the queue {name!r} ({code}): check the credentials; an identity "
        "needs the role Storage Queue Data Contributor on the storage account.",
        reason=code,
        queue=name,
    )


def _refused(error: "HttpResponseError", name: str) -> DeliveryError:
    code, status = _code(error), error.status_code or 0
    data = {"reason": code, "queue": name}
    if code == "QueueNotFound" or (status == 404 and code == "unknown"):
        return DeliveryError(
            f"The Azure queue {name!r} does not exist: create it (az storage queue create --name "
            f"{name}), or correct TEAMRUN_QUEUE_URL.",
            **data,
        )
    if status in {408, 429} or status >= 500:
        return DeliveryError(
            f"Azure throttles or fails requests to the queue {name!r} ({code}): they are retried. "
            "If it persists, use a storage account for the queues alone (TEAMRUN_QUEUE_URL).",
            retryable=True,
            **data,
        )
    return DeliveryError(
        f"Azure refused a request to the queue {name!r} ({code}): check the account and the "
        "endpoint of TEAMRUN_QUEUE_URL.",
        **data,
    )


def _code(error: Exception) -> str:
    """The error code of the service; it has no part of a request.

    Source: https://learn.microsoft.com/en-us/rest/api/storageservices/queue-service-error-codes
    """
    from azure.core.exceptions import HttpResponseError

    response: Any = error.response if isinstance(error, HttpResponseError) else None
    code = "" if response is None else str(response.headers.get("x-ms-error-code", ""))
    return code if re.fullmatch("[A-Za-z]{1,60}", code) else "unknown"
